// Faults of the catalogue against real parts of the test's own: an HTTP server in a network
// namespace, a process that reads a file, a file system of 16 MiB. What is measured is what those
// parts see.
#include <gtest/gtest.h>

#include <sys/mount.h>
#include <sys/statvfs.h>

#include <fstream>

#include "agent/faults/claims.h"
#include "agent/faults/fault_recovery.h"
#include "agent/faults/network_namespace.h"
#include "tests/support/fault_probes.h"
#include "tests/support/fault_stage.h"
#include "tests/support/paths.h"

namespace faultline {
namespace {

class ServedFaults : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: makes cgroups and namespaces";
    stage.emplace(view);
    if (!stage->networked()) GTEST_SKIP() << "network namespaces cannot be connected here";
    host.host = &view;
    host.mounts = stage->victim().mounts();
    host.worker_program = BinaryDir() + "/bin/faultline-guardian";
    host.journal_folder = stage->folder() + "/../journal";
  }
  void TearDown() override {
    while (!host.others.empty()) (void)Undo(host.others.back());
  }
  Result<FaultPlan> Start(const std::string& fault,
                          const std::map<std::string, std::string>& parameters,
                          const v1::Subject* target = nullptr) {
    const FaultRow* row = FindFault(FaultCatalogue(), fault);
    FaultSpec spec;
    spec.uid = fmt::format("served-{}-{}", getpid(), ++count);
    spec.fault = fault;
    if (target != nullptr) {
      spec.target = *target;
    } else {
      spec.target.set_cgroup(stage->victim().path());
    }
    spec.duration_ms = 60'000;
    FAULTLINE_ASSIGN(spec.parameters, AcceptParameters(row->parameters, parameters, fault));
    const auto made = row->make();
    FAULTLINE_ASSIGN(FaultPlan plan, made->Plan(spec, host));
    FAULTLINE_TRY(FillClaims(plan, host));
    FAULTLINE_ASSIGN(const v1::Effect before, made->Verify(plan, host));
    EXPECT_NE(before.verdict(), v1::VERDICT_TRUE);
    for (const auto& measurement : before.measurements())
      plan.before[measurement.name()] = measurement.during();
    FAULTLINE_TRY(made->Inject(plan, host));
    host.others.push_back(plan);
    return plan;
  }
  v1::Effect Look(const FaultPlan& plan) {
    return MakeFault(FaultCatalogue(), plan.spec.fault)->Verify(plan, host).value_or(v1::Effect());
  }
  Result<void> Undo(const FaultPlan& one) {
    const FaultPlan plan = one;
    std::erase_if(host.others,
                  [&](const FaultPlan& other) { return other.spec.uid == plan.spec.uid; });
    return MakeFault(FaultCatalogue(), plan.spec.fault)->Recover(plan, host);
  }
  std::vector<std::string> Left(const FaultPlan& plan) {
    return MakeFault(FaultCatalogue(), plan.spec.fault)->Residue(plan, host);
  }

  HttpAnswer Get(const std::string& path) { return AskVictim(*stage, path); }

  SystemClock clock;
  HostView view = HostView::Real("/", &clock);
  FaultHost host;
  std::optional<FaultStage> stage;
  int count = 0;
};

TEST_F(ServedFaults, HttpIsCutDelayedAndChangedAndTheyAddUp) {
  const std::string port = std::to_string(FaultStage::kHttpPort);
  ASSERT_TRUE(Eventually(5000, [&] { return Get("/").text.starts_with("HTTP/1.1 200"); }));
  const auto cut = Start("http_abort", {{"port", port}, {"path", "/api"}});
  ASSERT_TRUE(cut) << cut.error().message;
  EXPECT_EQ(Look(*cut).verdict(), v1::VERDICT_FALSE) << "nobody asked for it yet";
  EXPECT_EQ(Get("/api").text, "");
  EXPECT_TRUE(Get("/other").text.starts_with("HTTP/1.1 200"));
  EXPECT_EQ(Look(*cut).verdict(), v1::VERDICT_TRUE) << Look(*cut).ShortDebugString();
  ASSERT_TRUE(Undo(*cut));
  EXPECT_TRUE(Get("/api").text.starts_with("HTTP/1.1 200"));

  const auto late = Start("http_delay", {{"port", port}, {"delay", "300ms"}});
  ASSERT_TRUE(late) << late.error().message;
  const HttpAnswer delayed = Get("/");
  std::printf("  delay: %.1f ms of 300 asked\n", delayed.ms);
  EXPECT_NEAR(delayed.ms, 300, 30);
  EXPECT_EQ(Look(*late).verdict(), v1::VERDICT_TRUE) << Look(*late).ShortDebugString();
  const auto other = Start("http_replace", {{"port", port},
                                            {"target", "Request"},
                                            {"replace.path", "/replaced"},
                                            {"replace.queries", R"({"a":"b"})"}});
  ASSERT_TRUE(other) << other.error().message;
  const auto code = Start("http_patch", {{"port", port},
                                         {"target", "Response"},
                                         {"replace.code", "503"},
                                         {"patch.headers", R"([["X-Faultline","yes"]])"}});
  ASSERT_TRUE(code) << code.error().message;
  const HttpAnswer all = Get("/before");
  EXPECT_NEAR(all.ms, 300, 40);
  EXPECT_TRUE(all.text.starts_with("HTTP/1.1 503")) << all.text;
  EXPECT_NE(all.text.find("X-Faultline: yes"), std::string::npos) << all.text;
  EXPECT_NE(all.text.find("GET /replaced?a=b HTTP/1.1"), std::string::npos) << all.text;
  ASSERT_TRUE(Undo(*late));
  const HttpAnswer rest = Get("/before");
  EXPECT_LT(rest.ms, 200);
  EXPECT_TRUE(rest.text.starts_with("HTTP/1.1 503")) << rest.text;
  ASSERT_TRUE(Undo(*other));
  ASSERT_TRUE(Undo(*code));
  EXPECT_TRUE(Get("/").text.starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(Left(*late).empty() && Left(*other).empty() && Left(*code).empty());
}

TEST_F(ServedFaults, ReadsFailWaitAndLieAsOftenAsAsked) {
  const FileReader reader(view, stage->file());
  const v1::Subject target = reader.target();
  const std::string folder = stage->folder();
  const auto run = [&](const std::string& fault, std::map<std::string, std::string> parameters,
                       uint64_t reads) {
    parameters["volumePath"] = folder;
    parameters["path"] = folder + "/**/*";
    const auto plan = Start(fault, parameters, &target);
    EXPECT_TRUE(plan) << plan.error().message;
    if (!plan) return FileReader::Rates{};
    (void)reader.During(5);  // those under way when we came
    const auto rates = reader.During(reads);
    EXPECT_TRUE(rates) << "no reads any more";
    EXPECT_EQ(Look(*plan).verdict(), v1::VERDICT_TRUE) << Look(*plan).ShortDebugString();
    EXPECT_TRUE(Undo(*plan));
    EXPECT_TRUE(Left(*plan).empty());
    return rates.value_or(FileReader::Rates());
  };
  const auto failing =
      run("io_fault", {{"methods", "READ"}, {"errno", "5"}, {"percent", "50"}}, 1500);
  std::printf("  io_fault: %.1f %% of 50 asked fail with EIO (n=%lu)\n", failing.failures,
              failing.reads);
  EXPECT_NEAR(failing.failures, 50, 5);
  const auto late = run("io_latency", {{"methods", "read"}, {"delay", "200ms"}}, 12);
  std::printf("  io_latency: %.2f ms of 200 asked (n=%lu)\n", late.mean_ms, late.reads);
  EXPECT_NEAR(late.mean_ms, 200, 20);
  const auto lying = run("io_attr_override", {{"attr", R"({"perm":72})"}, {"percent", "50"}}, 1500);
  std::printf("  io_attr_override: %.1f %% of 50 asked\n", lying.other_mode);
  EXPECT_NEAR(lying.other_mode, 50, 5);
  const auto wrong = run("io_mistake",
                         {{"methods", "read"},
                          {"mistake", R"({"filling":"zero","maxOccurrences":1,"maxLength":3})"},
                          {"percent", "50"}},
                         1500);
  std::printf("  io_mistake: %.1f %% of 50 asked\n", wrong.wrong);
  EXPECT_NEAR(wrong.wrong, 50, 5);
  const auto after = reader.During(200).value_or(FileReader::Rates());
  EXPECT_EQ(after.failures + after.wrong + after.other_mode, 0);
  EXPECT_LT(after.mean_ms, 2);
}

TEST_F(ServedFaults, SystemCallsFailAndWaitSoManyTimes) {
  const FileReader reader(view, stage->file());
  const v1::Subject target = reader.target();
  const auto failing =
      Start("syscall_errno", {{"syscalls", "read"}, {"errno", "EIO"}, {"times", "7"}}, &target);
  ASSERT_TRUE(failing) << failing.error().message;
  (void)reader.During(200);
  EXPECT_EQ(reader.seen->failures, 7u);
  ASSERT_TRUE(Undo(*failing));
  const auto late = Start("syscall_delay", {{"syscalls", "read"}, {"delay", "100ms"}}, &target);
  ASSERT_TRUE(late) << late.error().message;
  (void)reader.During(3);
  const auto rates = reader.During(20).value_or(FileReader::Rates());
  std::printf("  syscall_delay: %.2f ms of 100 asked (n=%lu)\n", rates.mean_ms, rates.reads);
  EXPECT_NEAR(rates.mean_ms, 100, 10);
  ASSERT_TRUE(Undo(*late));
  const auto never = Start("syscall_errno", {{"syscalls", "mount"}, {"errno", "EPERM"}}, &target);
  ASSERT_TRUE(never) << never.error().message;
  EXPECT_EQ(Look(*never).verdict(), v1::VERDICT_FALSE) << "no such call is made";
  ASSERT_TRUE(Undo(*never));
}

class FileFaults : public ServedFaults {
 protected:
  std::string Text(const std::string& path) { return view.fs.Read(path).value_or("(none)"); }
  std::string Print() {
    struct stat status {};
    if (stat(stage->file().c_str(), &status) != 0) return "none";
    return fmt::format("{} {:o} {} {}.{} {}", status.st_ino, status.st_mode, status.st_size,
                       status.st_mtim.tv_sec, status.st_mtim.tv_nsec, Text(stage->file()));
  }
};

TEST_F(FileFaults, EachIsExactlyUndone) {
  struct Case {
    std::string fault;
    std::string parameters;
    std::string during;  // of the file
  };
  const Case cases[] = {
      {"file_modify", "file-name={file} privilege=000", "one\ntwo\nthree\n"},
      {"file_delete", "file-name={file}", "(none)"},
      {"file_rename", "source-file={file} dest-file={folder}/other", "(none)"},
      {"file_replace", "file-name={file} origin-string=t dest-string=TT", "one\nTTwo\nTThree\n"},
      {"file_replace", "file-name={file} origin-string=t dest-string= line=2", "one\nwo\nthree\n"},
      {"file_append", "file-name={file} data=more count=2", "one\ntwo\nthree\nmore\nmore\n"},
      {"file_create", "file-name={folder}/new", "one\ntwo\nthree\n"},
      {"file_create", "dir-name={folder}/newdir", "one\ntwo\nthree\n"},
  };
  for (const Case& one : cases) {
    const std::string before = Print();
    const auto names = view.fs.List(stage->folder()).value_or(std::vector<std::string>());
    const auto plan = Start(one.fault, stage->Parameters(one.parameters));
    ASSERT_TRUE(plan) << one.fault << ": " << plan.error().message;
    EXPECT_EQ(Text(stage->file()), one.during) << one.fault;
    EXPECT_EQ(Look(*plan).verdict(), v1::VERDICT_TRUE) << one.fault;
    EXPECT_FALSE(Left(*plan).empty());
    ASSERT_TRUE(Undo(*plan));
    const std::string after = Print();
    if (one.fault == "file_append") {  // its time of change tells of it
      EXPECT_EQ(Text(stage->file()), "one\ntwo\nthree\n");
    } else {
      EXPECT_EQ(after, before) << one.fault;
    }
    EXPECT_EQ(view.fs.List(stage->folder()).value_or(std::vector<std::string>()), names);
    EXPECT_TRUE(Left(*plan).empty());
    ASSERT_TRUE(Undo(*plan)) << "twice";
  }
}

// What somebody else wrote meanwhile is kept, and the original comes back.
TEST_F(FileFaults, WhatOthersWroteMeanwhileIsKept) {
  const auto plan =
      Start("file_replace", stage->Parameters("file-name={file} origin-string=two dest-string=2"));
  ASSERT_TRUE(plan) << plan.error().message;
  std::ofstream(stage->file(), std::ios::app) << "theirs\n";
  ASSERT_TRUE(Undo(*plan));
  EXPECT_EQ(Text(stage->file()), "one\ntwo\nthree\n");
  const auto left = Left(*plan);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_NE(left[0].find(".changed"), std::string::npos) << left[0];
  const auto append = Start("file_append", stage->Parameters("file-name={file} data=ours"));
  ASSERT_TRUE(append) << append.error().message;
  std::ofstream(stage->file(), std::ios::app) << "theirs\n";
  ASSERT_TRUE(Undo(*append));
  EXPECT_EQ(Text(stage->file()), "one\ntwo\nthree\ntheirs\n");
}

TEST_F(FileFaults, ProtectedPathsAndWaysOutAreRefused) {
  for (const char* path : {"/proc/sys/x", "/sys/x", "/dev/x", "relative", "/tmp/../etc/x"}) {
    const auto plan = Start("file_create", {{"file-name", path}});
    EXPECT_FALSE(plan) << path;
  }
}

// A file system of its own, in a folder of its own.
TEST_F(FileFaults, DiskIsFilledAsFarAsAskedAndAFullOneIsNoSuccess) {
  const std::string folder = stage->folder() + "/disk";
  ASSERT_EQ(mkdir(folder.c_str(), 0755), 0);
  if (mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=16m") != 0)
    GTEST_SKIP() << "file systems cannot be mounted here";
  const auto used = [&] {
    struct statvfs status {};
    statvfs(folder.c_str(), &status);
    return 100.0 *
           (1 - static_cast<double>(status.f_bavail) / static_cast<double>(status.f_blocks));
  };
  const auto half = Start("disk_fill", {{"path", folder}, {"percent", "50"}});
  ASSERT_TRUE(half) << half.error().message;
  std::printf("  disk_fill: %.1f %% of 50 asked\n", used());
  EXPECT_NEAR(used(), 50, 5);
  EXPECT_EQ(Look(*half).verdict(), v1::VERDICT_TRUE) << Look(*half).ShortDebugString();
  const auto rest = Start("disk_fill", {{"path", folder + "/rest"}, {"size", "100%"}});
  ASSERT_TRUE(rest) << rest.error().message;
  EXPECT_GT(used(), 99.9);
  const auto none = Start("disk_fill", {{"path", folder + "/none"}, {"size", "1MiB"}});
  ASSERT_TRUE(none) << none.error().message;
  EXPECT_EQ(Look(*none).verdict(), v1::VERDICT_FALSE) << "it was full before";
  ASSERT_TRUE(Undo(*half));
  EXPECT_NEAR(used(), 50, 5);
  ASSERT_TRUE(Undo(*rest));
  ASSERT_TRUE(Undo(*none));
  EXPECT_LT(used(), 1);
  EXPECT_EQ(umount(folder.c_str()), 0);
}

// A process in the cgroup writes past the page cache and takes its time; another fault on the same
// disk comes and goes.
TEST_F(ServedFaults, DiskIsAsSlowAsAsked) {
  struct Written {
    std::atomic<uint64_t> bytes = 0;
  };
  const std::string path = stage->folder() + "/writes";
  const SharedChild<Written> writer(view, &*stage, [path](Written& seen) {
    static const int fd = open(path.c_str(), O_CREAT | O_WRONLY | O_DIRECT | O_CLOEXEC, 0600);
    alignas(4096) static char block[32768];
    if (pwrite(fd, block, sizeof block, 0) != sizeof block) _exit(1);
    seen.bytes += sizeof block;
  });
  const auto rate = [&] {
    usleep(300'000);  // what passes at once
    const auto begin = std::chrono::steady_clock::now();
    const uint64_t first = writer.seen->bytes;
    usleep(2'000'000);
    return static_cast<double>(writer.seen->bytes - first) /
           std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  const double before = rate();
  if (before == 0) GTEST_SKIP() << "nothing can be written past the page cache here";
  const auto slow = Start("disk_throttle", {{"path", stage->folder()}, {"writeBps", "1MiB"}});
  if (!slow && slow.error().code == ErrorCode::kUnsupported) GTEST_SKIP() << slow.error().message;
  ASSERT_TRUE(slow) << slow.error().message;
  const double asked = 1 << 20;
  const double during = rate();
  std::printf("  disk_throttle: %.0f bytes/s of %.0f asked, %.0f before\n", during, asked, before);
  EXPECT_NEAR(during, asked, 0.1 * asked);
  const auto slower = Start("disk_throttle", {{"path", stage->folder()}, {"writeIops", "20"}});
  ASSERT_TRUE(slower) << slower.error().message;
  EXPECT_NEAR(rate(), 20 * 32768, 0.1 * 20 * 32768);
  ASSERT_TRUE(Undo(*slow));
  EXPECT_NEAR(rate(), 20 * 32768, 0.1 * 20 * 32768) << "the other one is still there";
  ASSERT_TRUE(Undo(*slower));
  EXPECT_GT(rate(), 2 * asked);
  EXPECT_FALSE(Start("disk_throttle", {{"path", stage->folder()}})) << "nothing is asked";
  EXPECT_FALSE(Start("disk_throttle", {{"path", stage->folder()}, {"readIops", "16"}}))
      << "would be 10";
  EXPECT_FALSE(Start("disk_throttle", {{"path", "/dev/shm"}, {"writeBps", "1MiB"}}));
}

// A number above the limit that is open already gives no room below it.
TEST_F(ServedFaults, NoMoreFilesThanAskedCanBeOpened) {
  struct Opened {
    std::atomic<int> asked = 0, answered = 0, more = -1;
  };
  const SharedChild<Opened> opener(view, &*stage, [](Opened& seen) {
    static const int high = fcntl(STDERR_FILENO, F_DUPFD, 500);
    if (seen.answered == seen.asked) {
      usleep(1000);
      return;
    }
    int fds[100];
    int many = 0;
    while (many < 100 && (fds[many] = dup(high)) >= 0) ++many;
    seen.more = many;
    while (many > 0) close(fds[--many]);
    ++seen.answered;
  });
  const auto opens = [&] {
    ++opener.seen->asked;
    EXPECT_TRUE(Eventually(5000, [&] { return opener.seen->answered == opener.seen->asked; }));
    return opener.seen->more.load();
  };
  EXPECT_EQ(opens(), 100);
  const v1::Subject target = opener.target();
  const auto plan = Start("fd_limit", {{"spare", "7"}}, &target);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(opens(), 7);
  ASSERT_TRUE(Undo(*plan));
  EXPECT_EQ(opens(), 100);
}

// The kernel drops what is more than ten lines of one writer.
TEST_F(ServedFaults, TheKernelsLogHasAllLines) {
  const auto plan = Start("kmsg_message", {{"message", fmt::format("faultline-many-{}", getpid())},
                                           {"level", "debug"},
                                           {"count", "25"}});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(Look(*plan).measurements(0).during(), 25);
}

// Named here so that the conformance suite is not the only one to know them: disk_read, disk_write,
// network_down, network_flood, network_port_occupied.
TEST_F(ServedFaults, PortIsTakenAndFloodStaysAtHome) {
  const auto port = Start("network_port_occupied", {{"port", "4711"}});
  ASSERT_TRUE(port) << port.error().message;
  EXPECT_FALSE(Start("network_port_occupied", {{"port", "4711"}})) << "it is taken";
  ASSERT_TRUE(Undo(*port));
  const auto flood = Start("network_flood", {{"ip", "8.8.8.8"}, {"port", "9"}, {"rate", "1mbit"}});
  ASSERT_FALSE(flood);
  EXPECT_EQ(flood.error().code, ErrorCode::kPermissionDenied);
}

}  // namespace
}  // namespace faultline
