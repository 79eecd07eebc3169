#include "tests/bench/fault_truth_cases.h"

#include <sys/mount.h>
#include <sys/statvfs.h>

namespace faultline {
namespace {

using Look = std::function<bool()>;
using Prepare = std::function<Look(FaultTrial&)>;

// ---- Processes and cgroups
// -----------------------------------------------------------------------

struct Flag {
  std::atomic<bool> there = false;
  std::atomic<uint64_t> beats = 0;
};
using Child = SharedChild<Flag>;

// A process tries again and again; `once` sets what it sees.
Prepare Tried(void (*once)(Flag&), bool is_target) {
  return [=](FaultTrial& trial) -> Look {
    const auto child = std::make_shared<Child>(trial.view, &trial.stage, once);
    if (is_target) trial.target = child->target();
    if (!Eventually(5000, [&] { return child->seen->beats > 3; })) return nullptr;
    return [child] { return child->seen->there.load(); };
  };
}
void Fork(Flag& seen) {
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  seen.there = pid < 0;
  if (pid > 0) waitpid(pid, nullptr, 0);
  ++seen.beats;
  usleep(1000);
}
void Open(Flag& seen) {
  const int fd = dup(STDERR_FILENO);
  seen.there = fd < 0;
  if (fd >= 0) close(fd);
  ++seen.beats;
  usleep(1000);
}
void LookAtClock(Flag& seen) {
  timespec library{}, kernel{};
  clock_gettime(CLOCK_REALTIME, &library);
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &kernel);
  seen.there = library.tv_sec + 60 < kernel.tv_sec;
  ++seen.beats;
  usleep(500);
}

// It counts, or stands still.
Prepare StandsStill(bool is_target) {
  return [=](FaultTrial& trial) -> Look {
    const auto child = std::make_shared<Child>(trial.view, &trial.stage, [](Flag& seen) {
      ++seen.beats;
      usleep(300);
    });
    if (is_target) trial.target = child->target();
    if (!Eventually(5000, [&] { return child->seen->beats > 3; })) return nullptr;
    return [child] {
      const uint64_t before = child->seen->beats;
      for (int i = 0; i < 10; ++i) {
        usleep(1000);
        if (child->seen->beats != before) return false;
      }
      return true;
    };
  };
}

Prepare Cores(double above, double below, int window_ms, bool burns) {
  return [=](FaultTrial& trial) -> Look {
    const auto burner =
        burns ? std::make_shared<Child>(trial.view, &trial.stage, [](Flag& seen) { ++seen.beats; })
              : nullptr;
    return [&trial, burner, above, below, window_ms] {
      const double cores = trial.stage.victim().CpuCores(window_ms);
      return cores > above && cores < below;
    };
  };
}

std::string MemoryFile(FaultTrial& trial, const char* v1_file, const char* v2_file) {
  const auto all = trial.stage.victim().folders();
  const CgroupFolder* folder = FolderOf(all, "memory");
  return folder == nullptr ? "" : folder->path + (folder->controller.empty() ? v2_file : v1_file);
}

Look MemoryIsHeld(FaultTrial& trial) {
  const std::string file = MemoryFile(trial, "/memory.usage_in_bytes", "/memory.current");
  const auto used = [&trial, file] {
    return ParseUint(trial.view.fs.ReadTrimmed(file).value_or("")).value_or(0);
  };
  const uint64_t before = used();
  return [used, before] { return used() > before + (uint64_t{48} << 20); };
}

Look MemoryIsLimited(FaultTrial& trial) {
  const std::string file = MemoryFile(trial, "/memory.stat", "/memory.max");
  return [&trial, file] {
    return trial.view.fs.Read(file).value_or("").find("67108864\n") != std::string::npos;
  };
}

Look MoreProcesses(FaultTrial& trial) {
  const auto all = trial.stage.victim().folders();
  const std::string folder = FolderOf(all, "memory")->path;
  const size_t before = ProcessesBelow(trial.view, folder)->size();
  return [&trial, folder, before] { return ProcessesBelow(trial.view, folder)->size() > before; };
}

Look KernelLine(FaultTrial&) {
  const int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  lseek(fd, 0, SEEK_END);
  return [fd, seen = false]() mutable {
    char record[8192];
    ssize_t n = 0;
    while ((n = read(fd, record, sizeof record)) > 0)
      seen = seen || std::string_view(record, static_cast<size_t>(n)).find("faultline-truth") !=
                         std::string_view::npos;
    return seen;
  };
}

// ---- Files and disks
// -----------------------------------------------------------------------------

// A reader of the stage's file: a read that fails, is late or reads otherwise; a mode that differs.
Look ReadsDiffer(FaultTrial& trial) {
  const std::string path = trial.stage.file();
  const auto child = std::make_shared<Child>(trial.view, &trial.stage, [path](Flag& seen) {
    struct stat status {};
    const bool other_mode = stat(path.c_str(), &status) == 0 && (status.st_mode & 07777) == 0110;
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    char buffer[64] = {};
    const auto begin = std::chrono::steady_clock::now();
    const ssize_t n = read(fd, buffer, sizeof buffer);
    const bool late = std::chrono::steady_clock::now() - begin > std::chrono::milliseconds(15);
    close(fd);
    seen.there =
        other_mode || late || n != 14 || std::string_view(buffer, 14) != "one\ntwo\nthree\n";
    ++seen.beats;
    usleep(500);
  });
  trial.target = child->target();
  if (!Eventually(5000, [&] { return child->seen->beats > 3; })) return nullptr;
  return [child] { return child->seen->there.load(); };
}

Prepare FileIs(std::function<bool(const std::string& folder)> judge) {
  return [judge](FaultTrial& trial) -> Look {
    const std::string folder = trial.stage.folder();
    return [folder, judge] { return judge(folder); };
  };
}
bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }
off_t SizeOf(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? status.st_size : -1;
}

Look DiskIsFilled(FaultTrial& trial) {
  const std::string folder = trial.stage.folder() + "/disk";
  mkdir(folder.c_str(), 0755);
  if (mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=64m") != 0) return nullptr;
  const std::shared_ptr<void> mounted(nullptr,
                                      [folder](void*) { umount2(folder.c_str(), MNT_DETACH); });
  return [folder, mounted] {
    struct statvfs status {};
    statvfs(folder.c_str(), &status);
    return (status.f_blocks - status.f_bavail) * status.f_frsize > (10 << 20);
  };
}

Look DiskIsSlow(FaultTrial& trial) {
  const std::string path = trial.stage.folder() + "/writes";
  const auto child = std::make_shared<Child>(trial.view, &trial.stage, [path](Flag& seen) {
    static const int fd = open(path.c_str(), O_CREAT | O_WRONLY | O_DIRECT | O_CLOEXEC, 0600);
    alignas(4096) static char block[65536];
    if (pwrite(fd, block, sizeof block, 0) != sizeof block) _exit(1);
    ++seen.beats;
  });
  if (!Eventually(5000, [&] { return child->seen->beats > 3; })) return nullptr;
  return [child] {
    const uint64_t before = child->seen->beats;
    usleep(10'000);
    return child->seen->beats < before + 3;
  };
}

}  // namespace

std::vector<TruthCase> TruthCases() {
  std::vector<TruthCase> all = NetworkTruthCases();
  for (TruthCase& one : HostTruthCases()) all.push_back(std::move(one));
  return all;
}

std::vector<TruthCase> HostTruthCases() {
  const std::string below = "volumePath={folder} path={folder}/**/* ";
  return {
      {"cpu_stress", "workers=1 load=100", "the cgroup's CPU time", Cores(0.6, 9, 10, false)},
      {"cpu_quota", "cores=0.05", "the cgroup's CPU time", Cores(-1, 0.5, 20, true)},
      {"memory_stress", "size=64MiB", "the cgroup's memory", MemoryIsHeld},
      {"memory_limit", "size=64MiB", "the cgroup's limit", MemoryIsLimited},
      {"pid_limit", "spare=0", "a process that forks", Tried(Fork, false)},
      {"fd_limit", "spare=0", "a process that opens", Tried(Open, true)},
      {"io_stress", "path={folder} size=1MiB", "processes of the cgroup", MoreProcesses},
      {"process_stop", "", "a process that counts", StandsStill(true)},
      {"container_pause", "", "a process that counts", StandsStill(false)},
      {"pod_failure", "", "a process that counts", StandsStill(false)},
      {"process_kill", "", "a process that counts", StandsStill(true), false},
      {"container_kill", "", "a process that counts", StandsStill(false), false},
      {"pod_kill", "", "a process that counts", StandsStill(false), false},
      {"clock_offset", "timeOffset=-1h30m", "a process' two clocks", Tried(LookAtClock, true)},
      {"kmsg_message", "message=faultline-truth-{unique} level=debug", "/dev/kmsg", KernelLine,
       false},
      {"io_latency", below + "methods=read delay=20ms", "a reader", ReadsDiffer},
      {"io_fault", below + "methods=read errno=5", "a reader", ReadsDiffer},
      {"io_attr_override", below + "attr={\"perm\":72}", "a reader", ReadsDiffer},
      {"io_mistake",
       below + "methods=read mistake={\"filling\":\"zero\",\"maxOccurrences\":1,\"maxLength\":3}",
       "a reader", ReadsDiffer},
      {"syscall_delay", "syscalls=read delay=20ms", "a reader", ReadsDiffer},
      {"syscall_errno", "syscalls=read errno=EIO", "a reader", ReadsDiffer},
      {"disk_fill", "path={folder}/disk size=20MiB", "statvfs", DiskIsFilled},
      {"disk_throttle", "path={folder} writeBps=1MiB", "a writer", DiskIsSlow},
      {"disk_write", "path={folder}/load size=4MiB", "its file",
       FileIs([](const std::string& folder) { return Exists(folder + "/load"); })},
      {"file_create", "file-name={folder}/created", "stat",
       FileIs([](const std::string& folder) { return Exists(folder + "/created"); })},
      {"file_delete", "file-name={file}", "stat",
       FileIs([](const std::string& folder) { return !Exists(folder + "/file.txt"); })},
      {"file_rename", "source-file={file} dest-file={folder}/renamed", "stat",
       FileIs([](const std::string& folder) { return Exists(folder + "/renamed"); })},
      {"file_append", "file-name={file} data=more", "stat",
       FileIs([](const std::string& folder) { return SizeOf(folder + "/file.txt") == 19; })},
      {"file_replace", "file-name={file} origin-string=two dest-string=2222", "stat",
       FileIs([](const std::string& folder) { return SizeOf(folder + "/file.txt") == 15; })},
      {"file_modify", "file-name={file} privilege=000", "stat",
       FileIs([](const std::string& folder) {
         struct stat status {};
         return stat((folder + "/file.txt").c_str(), &status) == 0 && (status.st_mode & 07777) == 0;
       })},
      {"user_defined",
       "attackCmd=touch${IFS}{folder}/mark recoverCmd=rm${IFS}-f${IFS}{folder}/mark "
       "verifyCmd=test${IFS}-e${IFS}{folder}/mark",
       "its file", FileIs([](const std::string& folder) { return Exists(folder + "/mark"); })},
  };
}

}  // namespace faultline
