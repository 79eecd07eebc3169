// Short processes through short cgroups while every probe runs: all of them are attributed or
// counted as missed, and memory stays flat. Small here; FAULTLINE_CHURN=100000x1000 is the whole.
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "agent/probes/owner_directory.h"
#include "tests/support/own_cgroup.h"
#include "tests/support/probe_pass.h"

namespace faultline {
namespace {

// Not PSS: that is halved as long as a child of ours lives that has the same pages.
long RssKib() {
  std::ifstream file("/proc/self/smaps_rollup");
  std::string word;
  long kib = 0;
  while (file >> word) {
    if (word == "Rss:" && file >> kib) return kib;
  }
  return 0;
}

class ChurnTest : public ProbePass {
 protected:
  void Pass() {
    EXPECT_TRUE(index_->Refresh());
    out.Clear();
    for (const auto& probe : probes_) {
      const auto result = probe->Collect(out);
      if (!result) ADD_FAILURE() << result.error().message;
    }
  }
  double Counted(const std::string& attribution) const {
    return out.Value("faultline_processes_counted_total{attribution=\"" + attribution + "\"}")
        .value_or(0);
  }

  std::vector<std::unique_ptr<Collector>> probes_;
};

// A child in `cgroup` that starts /bin/true `count` times.
int StartMany(int count) {
  for (int i = 0; i < count; ++i) {
    pid_t child = -1;
    char program[] = "/bin/true";
    char* arguments[] = {program, nullptr};
    if (posix_spawn(&child, program, nullptr, nullptr, arguments, nullptr) != 0) return 1;
    waitpid(child, nullptr, 0);
  }
  return 0;
}

TEST_F(ChurnTest, AllAreAttributedOrCountedAsMissedAndMemoryIsFlat) {
  int processes = 1500, cgroups = 50;
  if (const char* size = std::getenv("FAULTLINE_CHURN"); size != nullptr) {
    ASSERT_EQ(std::sscanf(size, "%dx%d", &processes, &cgroups), 2);
  }
  auto index = ContainerIndex::Create(host_, config_);
  if (!index) GTEST_SKIP() << index.error().message;
  index_ = std::move(*index);
  ASSERT_TRUE(index_->Refresh());
  for (const CollectorRow& row : ProbeCatalogue()) {
    if (!row.on_by_default || row.name == "budget") continue;
    auto made = row.make(LeafContext{host_, config_, index_.get()});
    if (!made) GTEST_SKIP() << made.error().message;
    probes_.push_back(std::move(*made));
  }
  Pass();
  const double before = Counted("owner") + Counted("nobody");
  const double node_before = std::max(0.0, Value("", "container_process_execs_total{id=\"/\"}"));
  std::atomic<bool> is_done = false;
  std::atomic<int> gone = 0;  // cgroups
  // The cgroups come and go without regard to the passes.
  std::thread churn([&] {
    for (int i = 0; i < cgroups; ++i) {
      OwnCgroup cgroup(index_->mounts(), "churn-" + std::to_string(i), {"memory"});
      if (cgroup.Run([&] { return StartMany(processes / cgroups); }) != 0)
        ADD_FAILURE() << "cgroup " << i;
      gone = i + 1;
    }
    is_done = true;
  });
  // After each tenth of the cgroups.
  std::vector<long> rss_kib;
  int passes = 0;
  while (!is_done) {
    usleep(100'000);
    Pass();
    ++passes;
    if (rss_kib.empty() || gone * 10 / cgroups >= static_cast<int>(rss_kib.size()))
      rss_kib.push_back(RssKib());
  }
  churn.join();
  // Whom nobody knows is given up after so many passes.
  for (uint64_t i = 0; i < OwnerDirectory::kPatiencePasses + 3; ++i) Pass();
  const double node = std::max(0.0, Value("", "container_process_execs_total{id=\"/\"}"));
  const double counted = Counted("owner") + Counted("nobody") - before - (node - node_before);
  const double lost =
      out.Value("faultline_probe_counts_lost_total{probe=\"processes\"}").value_or(0);
  const int started = processes / cgroups * cgroups;
  // Others' cgroups may have started some meanwhile: never fewer than ours.
  EXPECT_GE(counted + lost, started);
  EXPECT_LT(counted + lost, started * 1.2 + 500);
  rss_kib.push_back(RssKib());
  std::printf(
      "%d processes through %d cgroups, %d passes: %.0f of an owner, %.0f of nobody known, "
      "%.0f lost; resident KiB:",
      started, cgroups, passes, Counted("owner"), Counted("nobody"), lost);
  for (const long kib : rss_kib) std::printf(" %ld", kib);
  std::printf("\n");
  // Whatever the first fifth needs is enough for all that follow.
  const long early_kib = *std::max_element(rss_kib.begin(), rss_kib.begin() + std::min<long>(3, std::ssize(rss_kib)));
  EXPECT_LT(rss_kib.back(), early_kib + 4096);
}

}  // namespace
}  // namespace faultline
