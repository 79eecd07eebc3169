// Programs that do all they can to stay: the real runner on the real kernel. FAULTLINE_ROUNDS=1000
// is the whole proof; a few rounds run with the other tests.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "agent/checks/program_runner.h"
#include "agent/containers/cgroup_mounts.h"
#include "common/host_view.h"
#include "common/process_stat.h"
#include "common/text.h"
#include "tests/support/chroot.h"
#include "tests/support/dead_mount.h"
#include "tests/support/paths.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

const std::string kMark =
    "faultline_hang_proof";  // in the command line of everything that is started here

struct Nasty {
  const char* name;
  const char* body;
  bool times_out;
};
// CG is the root of the v2 hierarchy.
constexpr Nasty kNasties[] = {
    {"ignores_term", "trap '' TERM INT HUP QUIT; while :; do sleep 1; done", true},
    {"forks_daemons",
     "for i in 1 2 3; do (trap '' TERM HUP; setsid sleep 300 faultline_hang_proof >/dev/null 2>&1 "
     "&) ; done; exit 1",
     false},
    {"double_forks",
     "( ( trap '' HUP TERM; exec setsid sh -c 'sleep 300; : faultline_hang_proof' ) & ) ; exit 0",
     false},
    {"prints_much", "head -c 20000000 /dev/zero | tr '\\0' x; exit 2", false},
    {"closes_stdout", "exec >&- 2>&-; sleep 300", true},
    {"keeps_pipe_open", "setsid sh -c 'sleep 300; : faultline_hang_proof' & exit 3", false},
    {"leaves_its_cgroup",
     "[ -n \"$CG\" ] && echo $$ > \"$CG/cgroup.procs\" 2>/dev/null; trap '' TERM; sleep 300; : "
     "faultline_hang_proof",
     true},
    {"sends_a_child_out",
     "setsid sh -c 'echo $$ > \"$CG/cgroup.procs\"; sleep 300; : faultline_hang_proof' & sleep "
     "0.05; exit 0",
     false},
    {"stops_itself", "kill -STOP $$; exit 0", true},
    {"forks_a_tree",
     "for i in 1 2 3 4; do sh -c 'for k in 1 2 3; do sleep 300 & done; wait; : "
     "faultline_hang_proof' & done; wait",
     true},
};

int Rounds() {
  const char* text = std::getenv("FAULTLINE_ROUNDS");
  return text == nullptr ? 2 : static_cast<int>(ParseInt(text).value_or(2));
}

struct Process {
  uint64_t pid;
  char state;
  uint64_t parent;
  std::string command;
};

std::vector<Process> Processes() {
  std::vector<Process> found;
  const FsRoot fs;
  const std::vector<std::string> names = fs.List("/proc").value();
  for (const std::string& name : names) {
    if (!ParseUint(name)) continue;
    const auto text = fs.Read("/proc/" + name + "/stat");
    if (!text) continue;
    const auto stat = ParseProcessStat(*text);
    if (!stat) continue;
    found.push_back({*ParseUint(name), stat->state, stat->parent,
                     fs.Read("/proc/" + name + "/cmdline").value_or("")});
  }
  return found;
}

class HangProof : public ::testing::Test {
 protected:
  HangProof() {
    unified_ = ReadCgroupMounts(FsRoot()).value_or(CgroupMounts()).unified;
    folder_ = CheckCgroupFolder(unified_) + "-test";
    for (const Nasty& nasty : kNasties) {
      tree_.File(nasty.name, std::string("#!/bin/sh\n# ") + kMark + "\n" + nasty.body + "\n");
      chmod((tree_.root() + "/" + nasty.name).c_str(), 0755);
    }
    runner_ = std::make_unique<ProgramRunner>(BinaryPath("faultline-check-runner"),
                                              unified_.empty() ? "" : folder_);
  }
  static std::string BinaryPath(const std::string& name) { return BinaryDir() + "/bin/" + name; }
  uint64_t RunnerPid() const { return static_cast<uint64_t>(runner_->pid()); }

  void Start(const std::string& program, int64_t timeout_ms,
             std::function<void(const v1::ProgramOutcome&)> done) {
    v1::RunProgram request;
    request.add_arguments(program);
    request.add_environment("PATH=/usr/bin:/bin");
    request.add_environment("CG=" + unified_);
    request.set_timeout_ms(timeout_ms);
    request.set_max_output_bytes(16 << 10);
    runner_->Run(std::move(request), std::move(done), nullptr);
  }
  void Pump(const std::function<bool()>& until, int seconds = 30) {
    const int64_t deadline = SystemClock().SteadyNs() + seconds * kNsPerSecond;
    while (!until() && SystemClock().SteadyNs() < deadline) {
      pollfd one{runner_->fd(), POLLIN, 0};
      poll(&one, 1, 20);
      runner_->Receive();
    }
  }

  TempTree tree_;
  std::string unified_;
  std::string folder_;
  std::unique_ptr<ProgramRunner> runner_;
};

TEST_F(HangProof, EverythingIsGoneWithinTimeoutAndOneSecond) {
  constexpr int64_t kTimeoutMs = 150;
  const int rounds = Rounds();
  int64_t worst_over_ns = 0;
  int64_t worst_late_ns = 0;
  int wrong = 0;
  uint64_t escaped = 0;
  for (int round = 0; round < rounds; ++round) {
    const Nasty& nasty = kNasties[static_cast<size_t>(round) % std::size(kNasties)];
    std::optional<v1::ProgramOutcome> nasty_outcome;
    const int64_t begin = SystemClock().SteadyNs();
    int64_t nasty_end = 0;
    Start(tree_.root() + "/" + nasty.name, nasty.times_out ? kTimeoutMs : 10'000,
          [&](const v1::ProgramOutcome& outcome) {
            nasty_outcome = outcome;
            nasty_end = SystemClock().SteadyNs();
          });
    // Another check beside it must have its verdict in time.
    bool good_done = false;
    Start("/bin/true", 5000, [&](const v1::ProgramOutcome& outcome) {
      good_done = true;
      worst_late_ns = std::max(worst_late_ns, outcome.duration_ns());
      if (outcome.exit_code() != 0 || !outcome.has_exit_code()) ++wrong;
    });
    Pump([&] { return nasty_outcome.has_value() && good_done; });
    ASSERT_TRUE(nasty_outcome.has_value()) << nasty.name;
    EXPECT_EQ(nasty_outcome->timed_out(), nasty.times_out) << nasty.name;
    EXPECT_FALSE(nasty_outcome->unkillable()) << nasty.name;
    EXPECT_LE(nasty_outcome->output().size(), size_t{16 << 10});
    if (nasty.times_out)
      worst_over_ns = std::max(worst_over_ns, nasty_end - begin - kTimeoutMs * kNsPerMs);
    escaped += nasty_outcome->escaped();
    ASSERT_FALSE(HasFailure()) << "round " << round;
  }
  EXPECT_EQ(wrong, 0);
  // What had moved out is looked for every 100 ms.
  usleep(300'000);
  int left = 0;
  int zombies = 0;
  for (const Process& process : Processes()) {
    if (process.command.find(kMark) != std::string::npos &&
        process.pid != static_cast<uint64_t>(getpid())) {
      ++left;
      ADD_FAILURE() << process.pid << " " << process.command;
    }
    if (process.state == 'Z' && process.parent == RunnerPid()) ++zombies;
  }
  EXPECT_EQ(left, 0);
  EXPECT_EQ(zombies, 0);
  std::printf(
      "rounds %d, orphans %d, zombies %d, escaped and ended %llu, worst end after timeout %.1f ms, "
      "worst /bin/true beside it %.1f ms\n",
      rounds, left, zombies, static_cast<unsigned long long>(escaped),
      static_cast<double>(worst_over_ns) / 1e6, static_cast<double>(worst_late_ns) / 1e6);
}

TEST_F(HangProof, AProgramThatHangsInTheKernelIsLeftBehindAndReapedLater) {
  DeadMount dead(tree_.root() + "/dead");
  if (!dead.mounted()) GTEST_SKIP() << "FUSE cannot be mounted here";
  tree_.File("look", "#!/bin/sh\nls " + tree_.root() + "/dead\n");
  chmod((tree_.root() + "/look").c_str(), 0755);
  std::optional<v1::ProgramOutcome> outcome;
  bool ended = false;
  v1::RunProgram request;
  request.add_arguments(tree_.root() + "/look");
  request.add_environment("PATH=/usr/bin:/bin");
  request.set_timeout_ms(300);
  const int64_t begin = SystemClock().SteadyNs();
  runner_->Run(
      std::move(request), [&](const v1::ProgramOutcome& told) { outcome = told; },
      [&] { ended = true; });
  Pump([&] { return outcome.has_value(); });
  const int64_t took_ms = (SystemClock().SteadyNs() - begin) / kNsPerMs;
  ASSERT_TRUE(outcome.has_value());
  EXPECT_TRUE(outcome->timed_out());
  EXPECT_TRUE(outcome->unkillable());
  EXPECT_FALSE(ended);
  std::printf("told %lld ms after its timeout\n", static_cast<long long>(took_ms - 300));
  // Others go on.
  std::optional<v1::ProgramOutcome> other;
  Start("/bin/true", 5000, [&](const v1::ProgramOutcome& told) { other = told; });
  Pump([&] { return other.has_value(); });
  ASSERT_TRUE(other.has_value());
  EXPECT_EQ(other->exit_code(), 0);
  dead.Abort();
  Pump([&] { return ended; });
  EXPECT_TRUE(ended);
}

TEST_F(HangProof, OutputIsCappedAndTheVerdictKept) {
  tree_.File("much", "#!/bin/sh\nhead -c 50000000 /dev/zero\nexit 1\n");
  chmod((tree_.root() + "/much").c_str(), 0755);
  std::optional<v1::ProgramOutcome> outcome;
  Start(tree_.root() + "/much", 20'000, [&](const v1::ProgramOutcome& told) { outcome = told; });
  Pump([&] { return outcome.has_value(); });
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->exit_code(), 1);
  EXPECT_TRUE(outcome->truncated());
  EXPECT_EQ(outcome->output().size(), size_t{16 << 10});
}

TEST_F(HangProof, AContainerViewIsThatOfTheProcess) {
  if (InChroot()) GTEST_SKIP() << "in a chroot, which a mount namespace leaves when it is entered";
  // A process in a mount and UTS namespace of its own, as a container has them.
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t inside = fork();
  if (inside == 0) {
    const bool good =
        unshare(CLONE_NEWNS | CLONE_NEWUTS) == 0 && sethostname("in-the-pod", 10) == 0 &&
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
        mount("none", "/mnt", "tmpfs", 0, nullptr) == 0 && mkdir("/mnt/only-here", 0755) == 0;
    if (write(ready[1], good ? "y" : "n", 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char answer = 'n';
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  if (answer == 'y') {
    tree_.File("view", "#!/bin/sh\nhostname; ls /mnt\nexit 1\n");
    chmod((tree_.root() + "/view").c_str(), 0755);
    std::optional<v1::ProgramOutcome> outcome;
    v1::RunProgram request;
    request.add_arguments(tree_.root() + "/view");
    request.add_environment("PATH=/usr/bin:/bin");
    request.set_timeout_ms(5000);
    request.set_max_output_bytes(4096);
    request.set_view_pid(static_cast<uint32_t>(inside));
    runner_->Run(
        std::move(request), [&](const v1::ProgramOutcome& told) { outcome = told; }, nullptr);
    Pump([&] { return outcome.has_value(); });
    EXPECT_TRUE(outcome.has_value() && outcome->exit_code() == 1)
        << (outcome ? outcome->error() : "");
    if (outcome) {
      EXPECT_THAT(outcome->output(), ::testing::AllOf(::testing::HasSubstr("in-the-pod"),
                                                      ::testing::HasSubstr("only-here")));
    }
  }
  kill(inside, SIGKILL);
  waitpid(inside, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
  if (answer != 'y') GTEST_SKIP() << "namespaces cannot be made here";
}

TEST_F(HangProof, ARunnerThatIsKilledIsStartedAgain) {
  std::optional<v1::ProgramOutcome> outcome;
  Start(tree_.root() + "/ignores_term", 60'000,
        [&](const v1::ProgramOutcome& told) { outcome = told; });
  kill(static_cast<pid_t>(RunnerPid()), SIGKILL);
  Pump([&] { return outcome.has_value(); });
  ASSERT_TRUE(outcome.has_value());
  EXPECT_THAT(outcome->error(), ::testing::HasSubstr("has ended"));
  usleep(1'100'000);
  outcome.reset();
  Start("/bin/true", 5000, [&](const v1::ProgramOutcome& told) { outcome = told; });
  Pump([&] { return outcome.has_value(); });
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->exit_code(), 0) << outcome->error();
  EXPECT_EQ(runner_->restarts(), 1u);
}

}  // namespace
}  // namespace faultline
