// Every fault of the catalogue, ended in every way: the host is as it was before. By default each
// fault meets one ending, another one for each, so that all endings are met; FAULTLINE_MATRIX=full
// meets all with all (about ten minutes), FAULTLINE_MATRIX=<ending> all with that one, and
// FAULTLINE_MATRIX_FAULTS=<name>,<name> only those faults.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "agent/faults/claims.h"
#include "agent/faults/fault_journal.h"
#include "agent/faults/stress_worker.h"
#include "tests/support/fault_engine_run.h"
#include "tests/support/fault_stage.h"
#include "tests/support/paths.h"

namespace faultline {
namespace {

constexpr const char* kEndings[] = {"duration",        "abort",         "killed_before_inject",
                                    "killed_in_force", "guardian_dies", "aggregator_lost",
                                    "power_cut"};
constexpr int64_t kLeaseMs = 2000;

class ResidueMatrix : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: makes cgroups and namespaces";
  }

  FaultEngineOptions Options(bool short_lease) const {
    FaultEngineOptions options;
    options.state_dir = state->root();
    options.guardian_program = BinaryDir() + "/bin/faultline-guardian";
    options.allowed = {"*", "user_defined", "task"};
    options.lease_ns = short_lease ? kLeaseMs * kNsPerMs : 0;
    return options;
  }

  // What the host looks like where a fault could have touched it.
  std::map<std::string, std::string> Look() const {
    FaultHost host;
    host.host = &view;
    host.mounts = stage->victim().mounts();
    const auto pid = static_cast<uint32_t>(stage->victim().pid());
    const std::string network = NetworkNamespaceOf(view, pid);
    std::vector<std::string> claims = {"folder:" + stage->folder(), "file:" + stage->file(),
                                       "mounts:" + stage->folder()};
    for (const char* kind : {"nft", "iptables", "ipset"})
      claims.push_back(fmt::format("{}:{}", kind, network));
    for (const char* kind : {"link", "qdisc"})
      claims.push_back(fmt::format("{}:{}:{}", kind, network, FaultStage::kDevice));
    if (const auto stat = ReadLiveProcess(view, pid)) {
      claims.push_back(fmt::format("limit:nofile:{}:{}", pid, stat->start_ticks));
      claims.push_back(fmt::format("process:{}:{}", pid, stat->start_ticks));
    }
    std::map<std::string, std::string> seen;
    for (const CgroupFolder& folder : stage->victim().folders()) {
      seen["children:" + folder.path] = fmt::format("{}", CgroupChildren(view, folder.path).size());
      for (const char* file :
           {"memory.limit_in_bytes", "memory.max", "cpu.cfs_quota_us", "cpu.max", "pids.max",
            "freezer.state", "cgroup.freeze", "blkio.throttle.write_bps_device"}) {
        claims.push_back("control:" + folder.path + "/" + file);
      }
    }
    for (const std::string& claim : claims)
      seen[claim] = ReadClaim(claim, host).value_or("unreadable");
    seen["workers"] = fmt::format("{}", FindWorkers(view, "", state->root() + "/faults").size());
    return seen;
  }

  bool Done(const std::string& uid) const {
    const auto entry = FaultJournal::Open(state->root() + "/faults")->Load(uid);
    return !entry || entry->phase() == v1::FAULT_JOURNAL_PHASE_DONE;
  }
  std::vector<std::string> Residue(const std::string& uid) const {
    const auto entry = FaultJournal::Open(state->root() + "/faults")->Load(uid);
    if (!entry) return {};
    return {entry->residue().begin(), entry->residue().end()};
  }
  v1::Subject Target() const {
    v1::Subject target;
    target.set_cgroup(stage->victim().path());
    return target;
  }

  // An agent in a child; `in_force`: wait until the fault is, else only until it was asked for.
  pid_t StartAgent(const FaultRow& row, const std::string& uid, bool in_force,
                   std::string& trouble) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    const pid_t agent = fork();
    if (agent == 0) {
      FaultEngineRun run(Options(false), view, stage->victim().mounts());
      if (!run.engine().Start()) _exit(3);
      if (!in_force && write(ready[1], "r", 1) != 1) _exit(5);
      const auto reply =
          run.Inject(uid, std::string(row.name), Target(), 60'000, stage->Parameters(row.example));
      const std::string word = reply.error_code().empty()
                                   ? "r"
                                   : "x" + reply.error_code() + ": " + reply.error_message();
      if (in_force && write(ready[1], word.data(), word.size()) < 0) _exit(5);
      while (true) pause();
    }
    close(ready[1]);
    char text[512] = {};
    const ssize_t n = read(ready[0], text, sizeof text - 1);
    close(ready[0]);
    if (n < 1) trouble = "the agent ended";
    if (n > 1) trouble = std::string(text + 1);
    return agent;
  }

  // Empty: as before. `turn` chooses whom to kill where there is a choice. Sets how long it took
  // from the ending's cause to the end.
  std::string Run(const FaultRow& row, const std::string& ending, size_t turn, int64_t& took_ms) {
    const std::string uid = fmt::format("m-{}-{}", row.name, ending);
    const auto before = Look();
    auto begin = std::chrono::steady_clock::now();
    std::string trouble;
    if (ending == "duration" || ending == "abort" || ending == "aggregator_lost") {
      FaultEngineRun run(Options(ending == "aggregator_lost"), view, stage->victim().mounts());
      if (!run.engine().Start()) return "the engine does not start";
      // The aggregator is there until the fault is in force, however long that takes.
      std::atomic<bool> in_force = false;
      std::thread aggregator([&] {
        while (!in_force) {
          run.engine().RenewLease();
          usleep(20'000);
        }
      });
      const auto reply =
          run.Inject(uid, std::string(row.name), Target(), ending == "duration" ? 1000 : 60'000,
                     stage->Parameters(row.example));
      in_force = true;
      aggregator.join();
      if (!reply.error_code().empty()) return reply.error_code() + ": " + reply.error_message();
      begin = std::chrono::steady_clock::now();
      if (ending == "abort") run.Recover(uid);
      if (!Eventually(10'000, [&] { return Done(uid); })) trouble = "it does not end";
      took_ms = Elapsed(begin);
    } else {
      const pid_t agent = StartAgent(row, uid, ending != "killed_before_inject", trouble);
      if (ending == "killed_before_inject") usleep(300'000);
      std::vector<pid_t> guardians;
      // A fault may be in force before they are loaded.
      if (ending == "guardian_dies" || ending == "power_cut")
        Eventually(5000,
                   [&] { return (guardians = GuardiansOf(view, agent)).size() == kGuardians; });
      if (ending == "guardian_dies" && guardians.empty()) trouble = "there is no guardian";
      if (ending == "guardian_dies" && !guardians.empty())
        kill(guardians[turn % guardians.size()], SIGKILL);
      if (ending == "power_cut") {
        kill(agent, SIGSTOP);  // it starts no others now
        for (const pid_t guardian : guardians) kill(guardian, SIGKILL);
      }
      begin = std::chrono::steady_clock::now();
      kill(agent, SIGKILL);
      waitpid(agent, nullptr, 0);
      if (ending == "power_cut") {
        FaultEngineRun run(Options(false), view, stage->victim().mounts());
        if (const auto started = run.engine().Start(); !started)
          return "the engine does not start again: " + started.error().message;
        if (!Done(uid)) trouble = "not undone at the start";
        took_ms = Elapsed(begin);
      }
      if (!Eventually(10'000, [&] { return Done(uid); }) && trouble.empty())
        trouble = "it does not end";
      if (ending != "power_cut") took_ms = Elapsed(begin);
    }
    if (!trouble.empty()) return trouble;
    if (row.one_shot) return "";
    for (const std::string& left : Residue(uid)) return "residue: " + left;
    const auto after = Look();
    for (const auto& [claim, value] : before) {
      if (after.contains(claim) && after.at(claim) != value)
        return fmt::format("{}: was '{}', is '{}'", claim, value, after.at(claim));
    }
    return "";
  }
  static int64_t Elapsed(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 begin)
        .count();
  }

  SystemClock clock;
  HostView view = HostView::Real("/", &clock);
  std::optional<TempTree>
      state;  // of one run: guardians of earlier ones live as long as this process
  std::optional<FaultStage> stage;
};

TEST_F(ResidueMatrix, TheHostIsAsItWas) {
  const char* wanted = std::getenv("FAULTLINE_MATRIX");
  const bool full = wanted != nullptr && std::string_view(wanted) == "full";
  const char* named = std::getenv("FAULTLINE_MATRIX_FAULTS");
  size_t turn = 0;
  int clean = 0, unsupported = 0;
  int64_t slowest_ms = 0;
  for (const FaultRow& row : FaultCatalogue()) {
    if (row.must_be_allowed && row.example.empty())
      continue;  // the node's power: nobody tries that
    ++turn;
    if (named != nullptr && std::string_view(named).find(row.name) == std::string_view::npos)
      continue;
    for (size_t i = 0; i < std::size(kEndings); ++i) {
      const std::string ending = kEndings[i];
      const bool only_once = row.one_shot && ending != "duration";
      const bool chosen =
          full || (wanted != nullptr && wanted == ending) ||
          (wanted == nullptr && (row.one_shot ? turn % 3 == 0 : turn % std::size(kEndings) == i));
      if (only_once || !chosen) continue;
      stage.emplace(view);
      state.emplace();
      if (!stage->made()) GTEST_SKIP() << "cgroups cannot be made here";
      int64_t took_ms = 0;
      const std::string trouble = Run(row, ending, turn, took_ms);
      // They would live as long as this process, and watch their journals.
      for (const pid_t guardian : GuardiansOf(view, getpid())) {
        kill(guardian, SIGKILL);
        waitpid(guardian, nullptr, 0);
      }
      const bool cannot = trouble.starts_with("unsupported");
      (cannot ? unsupported : clean) += trouble.empty() || cannot;
      if (ending == "aggregator_lost") took_ms -= kLeaseMs;
      if (ending != "duration") slowest_ms = std::max(slowest_ms, took_ms);
      std::printf("  %-22s %-22s %s (%ld ms)\n", std::string(row.name).c_str(), ending.c_str(),
                  trouble.empty() ? "clean" : trouble.c_str(), took_ms);
      std::fflush(stdout);
      EXPECT_TRUE(cannot || trouble.empty()) << row.name << " × " << ending;
      stage.reset();
    }
  }
  std::printf(
      "clean %d, not on this machine %d; slowest revert %ld ms after its cause (after the lease "
      "where it ran out)\n",
      clean, unsupported, slowest_ms);
  EXPECT_LE(slowest_ms, 1000 + 600)
      << "revert within the lease and a second (and what a busy machine adds)";
}

}  // namespace
}  // namespace faultline
