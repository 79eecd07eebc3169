// Faults on the real kernel, on cgroups and processes of our own: the effect is there by an
// independent count, and nothing is left afterwards, however the agent ends.
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <set>

#include "agent/faults/fault_engine.h"
#include "agent/faults/fault_journal.h"
#include "agent/faults/stress_worker.h"
#include "tests/support/fault_engine_run.h"
#include "tests/support/fault_victim.h"
#include "tests/support/paths.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

class RealFaults : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: makes cgroups";
    victim.emplace(host, 10);
    if (!victim->made()) GTEST_SKIP() << "cgroups cannot be made here";
  }
  FaultEngineOptions Options() {
    FaultEngineOptions options;
    options.state_dir = state.root();
    options.guardian_program = BinaryDir() + "/bin/faultline-guardian";
    return options;
  }
  v1::Subject Cgroup() const {
    v1::Subject target;
    target.set_cgroup(victim->path());
    return target;
  }
  v1::Subject Process() const {
    v1::Subject target;
    target.set_pid(static_cast<uint32_t>(victim->pid()));
    return target;
  }
  char State() const { return ReadLiveProcess(host, static_cast<uint32_t>(victim->pid()))->state; }

  // Runs an engine in a child, as an agent that will be killed; returns once the fault is in force.
  pid_t StartAgent(const std::string& uid, const std::string& fault, const v1::Subject& target,
                   int64_t duration_ms, FaultEngineOptions options, bool stop_renewing = true) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    const pid_t agent = fork();
    if (agent == 0) {
      FaultEngineRun run(options, host, victim->mounts());
      if (!run.engine().Start()) _exit(3);
      if (!run.Inject(uid, fault, target, duration_ms).error_code().empty()) _exit(4);
      if (write(ready[1], "r", 1) != 1) _exit(5);
      while (true) {
        if (!stop_renewing) run.engine().RenewLease();
        usleep(100'000);
      }
    }
    close(ready[1]);
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1) << "the agent did not inject";
    close(ready[0]);
    return agent;
  }
  static void Kill(pid_t pid, int number) {
    ASSERT_EQ(kill(pid, number), 0);
    if (number == SIGKILL) waitpid(pid, nullptr, 0);
  }
  bool Done(const std::string& uid) {
    const auto journal = FaultJournal::Open(state.root() + "/faults");
    const auto entry = journal->Load(uid);
    return entry && entry->phase() == v1::FAULT_JOURNAL_PHASE_DONE;
  }
  v1::FaultJournalEntry Entry(const std::string& uid) {
    return FaultJournal::Open(state.root() + "/faults")
        ->Load(uid)
        .value_or(v1::FaultJournalEntry());
  }

  SystemClock clock;
  HostView host = HostView::Real("/", &clock);
  TempTree state;
  std::optional<FaultVictim> victim;
};

double Measured(const v1::Effect& effect, const std::string& name) {
  for (const v1::Measurement& measurement : effect.measurements()) {
    if (measurement.name() == name) return measurement.during();
  }
  return -1;
}

TEST_F(RealFaults, CpuStressDoesWhatWasAskedAndLeavesNothing) {
  FaultEngineRun run(Options(), host, victim->mounts());
  ASSERT_TRUE(run.engine().Start());
  const double before = victim->CpuCores(500);
  const auto reply = run.Inject("cpu-1", "cpu_stress", Cgroup(), 60'000, {{"load", "40"}});
  ASSERT_EQ(reply.error_code(), "") << reply.error_message();
  const double during = victim->CpuCores(2000);
  EXPECT_NEAR(during - before, 0.40, 0.05) << "before " << before;
  const auto verified = run.Wait("cpu-1", v1::FAULT_PHASE_VERIFIED);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->effect().verdict(), v1::VERDICT_TRUE)
      << verified->effect().ShortDebugString();
  EXPECT_EQ(run.Recover("cpu-1").error_code(), "");
  EXPECT_TRUE(FindWorkers(host, "cpu-1").empty());
  const auto recovered = run.Wait("cpu-1", v1::FAULT_PHASE_RECOVERED);
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->residue_size(), 0);
  EXPECT_EQ(recovered->cause_of_end(), "requested");
  EXPECT_EQ(recovered->effect().verdict(), v1::VERDICT_FALSE);
  EXPECT_LT(Measured(recovered->effect(), "worker_cpu_cores"), 0.01);
  EXPECT_NEAR(victim->CpuCores(1000), before, 0.05);
  EXPECT_EQ(run.Phases("cpu-1"),
            (std::vector<v1::FaultPhase>{v1::FAULT_PHASE_REQUESTED, v1::FAULT_PHASE_PLANNED,
                                         v1::FAULT_PHASE_INJECTED, v1::FAULT_PHASE_VERIFIED,
                                         v1::FAULT_PHASE_RECOVERED}));
}

TEST_F(RealFaults, WorkersAreInEveryHierarchyOfTheTarget) {
  FaultEngineRun run(Options(), host, victim->mounts());
  ASSERT_TRUE(run.engine().Start());
  ASSERT_EQ(run.Inject("cpu-2", "cpu_stress", Cgroup(), 60'000, {{"workers", "2"}, {"load", "5"}})
                .error_code(),
            "");
  const auto workers = FindWorkers(host, "cpu-2");
  ASSERT_EQ(workers.size(), 2u);
  for (const CgroupFolder& folder : victim->folders()) {
    if (folder.controller == "freezer") continue;
    const auto pids = ProcessesBelow(host, folder.path);
    ASSERT_TRUE(pids);
    for (const LiveProcess& worker : workers) {
      EXPECT_TRUE(std::find(pids->begin(), pids->end(), worker.pid) != pids->end()) << folder.path;
    }
  }
}

TEST_F(RealFaults, StampOfInjectionIsWithin100MsOfTheOnset) {
  FaultEngineRun run(Options(), host, victim->mounts());
  ASSERT_TRUE(run.engine().Start());
  const auto all = victim->folders();
  const CgroupFolder* accounted = FolderOf(all, "cpuacct");
  std::atomic<bool> stop = false;
  std::vector<std::pair<int64_t, int64_t>> readings;
  std::thread probe([&] {
    while (!stop) {
      readings.emplace_back(clock.UnixNs(), CgroupCpuNs(host, *accounted).value_or(0));
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  ASSERT_EQ(run.Inject("cpu-3", "cpu_stress", Cgroup(), 2'000).error_code(), "");
  const auto recovered = run.Wait("cpu-3", v1::FAULT_PHASE_RECOVERED);
  stop = true;
  probe.join();
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->cause_of_end(), "duration");
  // Onset and end: the first and the last 50 ms in which the cgroup used more than half a CPU.
  int64_t onset = 0;
  int64_t end = 0;
  size_t from = 0;
  for (size_t i = 0; i < readings.size(); ++i) {
    while (readings[i].first - readings[from].first > 50 * kNsPerMs) ++from;
    const double elapsed = static_cast<double>(readings[i].first - readings[from].first);
    if (elapsed < 25e6) continue;
    if (static_cast<double>(readings[i].second - readings[from].second) / elapsed < 0.5) continue;
    if (onset == 0) onset = readings[from].first;
    end = readings[i].first;
  }
  const int64_t injected = run.Wait("cpu-3", v1::FAULT_PHASE_INJECTED)->time_unix_ns();
  std::printf("onset %+.1f ms, end %+.1f ms from the stamps\n",
              static_cast<double>(onset - injected) / 1e6,
              static_cast<double>(end - recovered->time_unix_ns()) / 1e6);
  EXPECT_LT(std::abs(onset - injected), 100 * kNsPerMs);
  EXPECT_LT(std::abs(end - recovered->time_unix_ns()), 100 * kNsPerMs);
  EXPECT_NEAR(static_cast<double>(recovered->time_unix_ns() - injected) / 1e9, 2.0, 0.2);
}

TEST_F(RealFaults, ProcessStopStopsAndGoesOn) {
  FaultEngineRun run(Options(), host, victim->mounts());
  ASSERT_TRUE(run.engine().Start());
  ASSERT_EQ(run.Inject("stop-1", "process_stop", Process(), 60'000).error_code(), "");
  EXPECT_EQ(State(), 'T');
  const auto verified = run.Wait("stop-1", v1::FAULT_PHASE_VERIFIED);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->effect().verdict(), v1::VERDICT_TRUE) << verified->effect().reason();
  EXPECT_EQ(run.Recover("stop-1").error_code(), "");
  EXPECT_NE(State(), 'T');
  EXPECT_GT(victim->CpuCores(500), 0.03);
  const auto recovered = run.Wait("stop-1", v1::FAULT_PHASE_RECOVERED);
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->effect().verdict(), v1::VERDICT_FALSE);
}

TEST_F(RealFaults, ContainerIsFrozenAsAWhole) {
  FaultEngineRun run(Options(), host, victim->mounts());
  ASSERT_TRUE(run.engine().Start());
  ASSERT_EQ(run.Inject("stop-2", "process_stop", Cgroup(), 60'000).error_code(), "");
  const auto verified = run.Wait("stop-2", v1::FAULT_PHASE_VERIFIED);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->effect().verdict(), v1::VERDICT_TRUE) << verified->effect().reason();
  EXPECT_LT(victim->CpuCores(300), 0.01);
  EXPECT_EQ(run.Recover("", "halt").error_code(), "");
  EXPECT_GT(victim->CpuCores(500), 0.03);
  EXPECT_EQ(run.Wait("stop-2", v1::FAULT_PHASE_RECOVERED)->cause_of_end(), "halt");
}

TEST_F(RealFaults, GuardianRecoversWhenTheAgentIsKilled) {
  const pid_t agent = StartAgent("stop-3", "process_stop", Cgroup(), 60'000, Options());
  EXPECT_LT(victim->CpuCores(300), 0.01);
  const auto begin = std::chrono::steady_clock::now();
  Kill(agent, SIGKILL);
  ASSERT_TRUE(Eventually(1000, [&] { return Done("stop-3"); }));
  const auto took = std::chrono::steady_clock::now() - begin;
  std::printf("recovered %.1f ms after SIGKILL\n",
              std::chrono::duration<double, std::milli>(took).count());
  EXPECT_GT(victim->CpuCores(500), 0.03);
  EXPECT_EQ(Entry("stop-3").cause_of_end(), "agent_killed");
  EXPECT_EQ(Entry("stop-3").recovered_by(), "guardian");
  // The next agent tells what happened meanwhile.
  FaultEngineRun run(Options(), host, victim->mounts());
  ASSERT_TRUE(run.engine().Start());
  const auto recovered = run.Wait("stop-3", v1::FAULT_PHASE_RECOVERED);
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->cause_of_end(), "agent_killed");
  EXPECT_TRUE(run.Wait("stop-3", v1::FAULT_PHASE_INJECTED));
}

// Twenty times, at any moment of a life: planning, measuring, injecting, in force, recovering.
TEST_F(RealFaults, KilledAtRandomMomentsTheHostIsRestored) {
  const uint32_t seed = std::random_device()();
  std::printf("seed %u\n", seed);
  std::minstd_rand random(seed);
  double slowest_ms = 0;
  for (int round = 0; round < 20; ++round) {
    const std::string fault = round % 2 == 0 ? "process_stop" : "cpu_stress";
    const std::string uid = fmt::format("kill-{}-{}", getpid(), round);
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t agent = fork();
    if (agent == 0) {
      FaultEngineRun run(Options(), host, victim->mounts());
      if (!run.engine().Start() || write(ready[1], "r", 1) != 1) _exit(3);
      run.Inject(uid, fault, Cgroup(), 700);
      while (true) pause();
    }
    char byte = 0;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 3500));
    Kill(agent, SIGKILL);
    const auto begin = std::chrono::steady_clock::now();
    const auto journal = FaultJournal::Open(state.root() + "/faults");
    EXPECT_TRUE(Eventually(1500,
                           [&] {
                             const auto entry = journal->Load(uid);
                             const bool undone =
                                 !entry || entry->phase() == v1::FAULT_JOURNAL_PHASE_DONE;
                             return undone && FindWorkers(host, uid).empty();
                           }))
        << "round " << round;
    const auto took = std::chrono::steady_clock::now() - begin;
    slowest_ms = std::max(slowest_ms, std::chrono::duration<double, std::milli>(took).count());
    EXPECT_GT(victim->CpuCores(300), 0.03) << "round " << round;
  }
  std::printf("undone at most %.1f ms after SIGKILL\n", slowest_ms);
}

TEST_F(RealFaults, GuardiansSleepWhenNothingIsInForce) {
  FaultEngineRun run(Options(), host, victim->mounts());
  ASSERT_TRUE(run.engine().Start());
  std::vector<pid_t> guardians;
  const std::string journal = state.root() + "/faults";
  ASSERT_TRUE(Eventually(5000, [&] {
    return (guardians = GuardiansOf(host, getpid(), journal)).size() == kGuardians;
  }));
  const auto switches = [&] {
    long sum = 0;
    for (const pid_t guardian : guardians) {
      const std::string text = host.fs.Read(fmt::format("/proc/{}/status", guardian)).value_or("");
      const size_t at = text.find("\nvoluntary_ctxt_switches:");
      sum += at == std::string::npos ? 0 : std::stol(text.substr(at + 25));
    }
    return sum;
  };
  // Until both have begun to sleep, however busy the machine is.
  long before = -1;
  ASSERT_TRUE(Eventually(30'000, [&] {
    const long now = switches();
    if (now == before) return true;
    before = now;
    std::this_thread::sleep_for(std::chrono::seconds(1));
    return false;
  }));
  std::this_thread::sleep_for(std::chrono::seconds(2));
  EXPECT_EQ(switches(), before) << "one of them woke up";
}

// With nothing in force there are two guardians that sleep, and nothing else: neither before a
// fault nor after it.
TEST_F(RealFaults, NothingIsResidentWhenNothingIsInForce) {
  FaultEngineRun run(Options(), host, victim->mounts());
  ASSERT_TRUE(run.engine().Start());
  const std::string journal = state.root() + "/faults";
  const auto children = [&] {
    std::set<pid_t> found;
    for (const uint32_t pid : ListProcesses(host)) {
      const auto stat = ReadLiveProcess(host, pid);
      if (stat && stat->parent == static_cast<uint32_t>(getpid()) && stat->state != 'Z')
        found.insert(static_cast<pid_t>(pid));
    }
    return found;
  };
  std::vector<pid_t> guardians;
  ASSERT_TRUE(Eventually(5000, [&] {
    return (guardians = GuardiansOf(host, getpid(), journal)).size() == kGuardians;
  }));
  const std::set<pid_t> before = children();
  for (const char* fault : {"cpu_stress", "syscall_delay", "process_stop"}) {
    std::map<std::string, std::string> parameters;
    if (std::string_view(fault) == "syscall_delay")
      parameters = {{"syscalls", "clock_nanosleep"}, {"delay", "1ms"}};
    const std::string uid = fmt::format("idle-{}", fault);
    ASSERT_EQ(run.Inject(uid, fault, Cgroup(), 60'000, parameters).error_code(), "") << fault;
    ASSERT_EQ(run.Recover(uid).error_code(), "") << fault;
    EXPECT_TRUE(Eventually(2000, [&] { return children() == before; })) << fault;
  }
  for (const pid_t guardian : guardians) {
    const std::string folder = fmt::format("/proc/{}/fdinfo", guardian);
    for (const std::string& fd : host.fs.List(folder).value_or(std::vector<std::string>())) {
      const std::string text = host.fs.Read(folder + "/" + fd).value_or("");
      EXPECT_EQ(text.find("prog_type"), std::string::npos) << "a guardian holds a BPF program";
    }
  }
}

TEST_F(RealFaults, WorkersEndWithTheAgent) {
  const pid_t agent = StartAgent("cpu-4", "cpu_stress", Cgroup(), 60'000, Options());
  ASSERT_EQ(FindWorkers(host, "cpu-4").size(), 1u);
  Kill(agent, SIGKILL);
  EXPECT_TRUE(
      Eventually(1000, [&] { return FindWorkers(host, "cpu-4").empty() && Done("cpu-4"); }));
}

TEST_F(RealFaults, GuardianRecoversWhenTheAgentHangsAndTheLeaseRunsOut) {
  FaultEngineOptions options = Options();
  options.lease_ns = 2 * kNsPerSecond;
  const pid_t agent = StartAgent("stop-4", "process_stop", Cgroup(), 60'000, options);
  Kill(agent, SIGSTOP);
  EXPECT_TRUE(Eventually(3000, [&] { return Done("stop-4"); }));
  EXPECT_EQ(Entry("stop-4").cause_of_end(), "lease_lost");
  EXPECT_GT(victim->CpuCores(500), 0.03);
  Kill(agent, SIGKILL);
}

TEST_F(RealFaults, AgentRecoversWhenTheLeaseRunsOut) {
  FaultEngineOptions options = Options();
  options.lease_ns = 3 * kNsPerSecond;
  FaultEngineRun run(options, host, victim->mounts());
  ASSERT_TRUE(run.engine().Start());
  ASSERT_EQ(run.Inject("stop-5", "process_stop", Process(), 60'000).error_code(), "");
  const auto recovered = run.Wait("stop-5", v1::FAULT_PHASE_RECOVERED);
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->cause_of_end(), "lease_lost");
  EXPECT_NE(State(), 'T');
}

TEST_F(RealFaults, KilledGuardiansAreStartedAgainAndAllKilledIsRecoveredAtStart) {
  const pid_t agent = StartAgent("stop-6", "process_stop", Cgroup(), 60'000, Options(), false);
  std::vector<pid_t> first;
  ASSERT_TRUE(
      Eventually(5000, [&] { return (first = GuardiansOf(host, agent)).size() == kGuardians; }));
  for (const pid_t guardian : first) ASSERT_EQ(kill(guardian, SIGKILL), 0);
  std::vector<pid_t> second;
  ASSERT_TRUE(Eventually(10'000, [&] {
    second = GuardiansOf(host, agent);
    return second.size() == kGuardians && second[0] != first[0] && second[1] != first[1];
  }));
  EXPECT_LT(victim->CpuCores(300), 0.01) << "the fault must stay";
  ASSERT_EQ(kill(agent, SIGSTOP), 0);  // it starts no others now
  for (const pid_t guardian : second) ASSERT_EQ(kill(guardian, SIGKILL), 0);
  Kill(agent, SIGKILL);
  EXPECT_LT(victim->CpuCores(300), 0.01) << "nobody is left to recover";
  FaultEngineRun run(Options(), host, victim->mounts());
  ASSERT_TRUE(run.engine().Start());
  EXPECT_GT(victim->CpuCores(500), 0.03) << "recovered before anything else";
  EXPECT_EQ(run.Wait("stop-6", v1::FAULT_PHASE_RECOVERED)->cause_of_end(), "restart");
}

// Either guardian is killed together with the agent: the other one undoes it.
TEST_F(RealFaults, OneGuardianIsEnough) {
  for (size_t rank = 0; rank < kGuardians; ++rank) {
    const std::string uid = fmt::format("stop-one-{}", rank);
    const pid_t agent = StartAgent(uid, "process_stop", Cgroup(), 60'000, Options(), false);
    std::vector<pid_t> guardians;
    ASSERT_TRUE(Eventually(
        5000, [&] { return (guardians = GuardiansOf(host, agent)).size() == kGuardians; }));
    ASSERT_EQ(kill(guardians[rank], SIGKILL), 0);
    Kill(agent, SIGKILL);
    EXPECT_TRUE(Eventually(10'000, [&] { return Done(uid); })) << "rank " << rank;
    EXPECT_EQ(Entry(uid).recovered_by(), "guardian");
    EXPECT_GT(victim->CpuCores(500), 0.03);
  }
}

TEST_F(RealFaults, AHaltOfTheNodeNeedsNobodyElse) {
  FaultEngineRun run(Options(), host, victim->mounts());
  ASSERT_TRUE(run.engine().Start());
  ASSERT_EQ(run.Inject("stop-7", "process_stop", Cgroup(), 60'000).error_code(), "");
  std::ofstream(state.root() + "/faults/halt") << "";
  const auto recovered = run.Wait("stop-7", v1::FAULT_PHASE_RECOVERED);
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->cause_of_end(), "halt");
  EXPECT_EQ(run.Inject("stop-8", "process_stop", Cgroup(), 1000).error_code(), "permission_denied");
}

// A container that comes back under its path gets its fault again, until the same deadline.
TEST_F(RealFaults, ATargetThatRestartsGetsItsFaultAgain) {
  FaultEngineRun run(Options(), host, victim->mounts());
  ASSERT_TRUE(run.engine().Start());
  const std::string path = victim->path();
  ASSERT_EQ(run.Inject("stop-9", "process_stop", Cgroup(), 60'000).error_code(), "");
  const int64_t deadline = Entry("stop-9").deadline_monotonic_ns();
  ASSERT_TRUE(run.Wait("stop-9", v1::FAULT_PHASE_VERIFIED));
  victim.reset();
  victim.emplace(host, 10, false, path);
  ASSERT_TRUE(victim->made());
  ASSERT_TRUE(Eventually(5000, [&] { return Entry("stop-9").applications() == 1; }));
  EXPECT_TRUE(Eventually(3000, [&] { return victim->CpuCores(200) < 0.01; }))
      << "it stands still again";
  EXPECT_EQ(Entry("stop-9").deadline_monotonic_ns(), deadline);
  EXPECT_EQ(run.Recover("stop-9").error_code(), "");
  EXPECT_GT(victim->CpuCores(500), 0.03);
  EXPECT_EQ(run.Wait("stop-9", v1::FAULT_PHASE_RECOVERED)->residue_size(), 0);
}

// Nothing to hit, or nothing that notices: never a success.
TEST_F(RealFaults, WithoutEffectNothingIsVerified) {
  FaultEngineRun run(Options(), host, victim->mounts());
  ASSERT_TRUE(run.engine().Start());
  // The target uses 0.1 of a CPU: a quota of two is never met.
  ASSERT_EQ(run.Inject("quota-1", "cpu_quota", Cgroup(), 60'000, {{"cores", "2"}}).error_code(),
            "");
  const auto verified = run.Wait("quota-1", v1::FAULT_PHASE_VERIFIED);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->effect().verdict(), v1::VERDICT_FALSE) << verified->effect().reason();
  EXPECT_EQ(run.Recover("quota-1").error_code(), "");
}

TEST_F(RealFaults, ProtectedAndForeignTargetsAreRefused) {
  FaultEngineRun run(Options(), host, victim->mounts());
  ASSERT_TRUE(run.engine().Start());
  v1::Subject target;
  target.set_pid(1);
  EXPECT_EQ(run.Inject("no-1", "process_stop", target, 1000).error_code(), "permission_denied");
  target.set_pid(static_cast<uint32_t>(getpid()));
  EXPECT_EQ(run.Inject("no-2", "process_stop", target, 1000).error_code(), "permission_denied");
  EXPECT_EQ(run.Inject("no-3", "process_stop", v1::Subject(), 1000).error_code(),
            "permission_denied");
  target.Clear();
  target.set_cgroup("/no/such/cgroup");
  EXPECT_EQ(run.Inject("no-4", "cpu_stress", target, 1000).error_code(), "not_found");
  EXPECT_EQ(run.Inject("no-5", "cpu_stress", Cgroup(), 0).error_code(), "invalid_argument");
  EXPECT_EQ(run.Inject("../no-6", "cpu_stress", Cgroup(), 1000).error_code(), "invalid_argument");
  EXPECT_EQ(run.Inject("no-7", "cpu_stress", Cgroup(), 1000, {{"load", "0"}}).error_code(),
            "invalid_argument");
  EXPECT_EQ(run.Inject("no-8", "no_such_fault", Cgroup(), 1000).error_code(), "unsupported");
  const auto dry = run.Inject("dry", "cpu_stress", Cgroup(), 1000, {}, true);
  ASSERT_EQ(dry.faults_size(), 1);
  EXPECT_NE(dry.faults(0).victims(0).find(victim->path()), std::string::npos);
  EXPECT_TRUE(FindWorkers(host, "", state.root() + "/faults").empty());
  EXPECT_EQ(run.List().faults_size(), 0);
}

}  // namespace
}  // namespace faultline
