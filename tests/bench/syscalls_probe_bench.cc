// What the syscalls probe adds to a system call, in CPU nanoseconds: getppid in a tight loop,
// interleaved pairs with and without the probe, medians; a task that the allow-list leaves out; and
// what one pass of reading costs.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "agent/probes/probe.h"
#include "faultline/v1/config.pb.h"
#include "tests/support/recording_emitter.h"

namespace faultline {
namespace {

constexpr int kCalls = 2'000'000;
constexpr int kRounds = 7;

double CpuNs() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto ns = [](const timeval& t) { return t.tv_sec * 1e9 + t.tv_usec * 1e3; };
  return ns(usage.ru_utime) + ns(usage.ru_stime);
}

double NsPerCall() {
  const double before = CpuNs();
  for (int i = 0; i < kCalls; ++i) syscall(SYS_getppid);
  return (CpuNs() - before) / kCalls;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

long PssKib() {
  std::ifstream file("/proc/self/smaps_rollup");
  std::string word;
  while (file >> word) {
    if (word == "Pss:") {
      long kib = 0;
      file >> kib;
      return kib;
    }
  }
  return 0;
}

std::unique_ptr<Collector> Load(std::string_view name, const LeafContext& context) {
  for (const CollectorRow& row : ProbeCatalogue()) {
    if (row.name != name) continue;
    auto made = row.make(context);
    if (made) return std::move(*made);
    std::printf("%s\n", made.error().message.c_str());
  }
  return nullptr;
}

int Main() {
  SystemClock clock;
  const HostView host = HostView::Real("/", &clock);
  v1::AgentConfig all, chosen;
  chosen.mutable_probes()->mutable_syscalls()->add_cgroups("/nobody");
  auto index = ContainerIndex::Create(host, all);
  if (!index || !(*index)->Refresh()) return 0;
  std::vector<double> none, added, added_filtered;
  for (int round = 0; round < kRounds; ++round) {
    const double base = NsPerCall();
    none.push_back(base);
    {
      const auto probe = Load("syscalls", LeafContext{host, all, index->get()});
      if (!probe) return 0;
      added.push_back(NsPerCall() - base);
    }
    const auto probe = Load("syscalls", LeafContext{host, chosen, index->get()});
    added_filtered.push_back(NsPerCall() - base);
  }
  std::printf("getppid alone             %7.1f ns\n", Median(none));
  std::printf("+ histogram of all        %7.1f ns\n", Median(added));
  std::printf("+ filtered out by cgroup  %7.1f ns\n", Median(added_filtered));

  const long pss_before = PssKib();
  std::vector<std::unique_ptr<Collector>> probes;
  for (const CollectorRow& row : ProbeCatalogue()) {
    if (auto probe = Load(row.name, LeafContext{host, all, index->get()}))
      probes.push_back(std::move(probe));
  }
  RecordingEmitter out;
  for (const auto& probe : probes) (void)probe->Collect(out);
  std::printf("%zu probes: PSS + %ld KiB (of %ld)\n", probes.size(), PssKib() - pss_before,
              PssKib());
  for (size_t i = 0; i < probes.size(); ++i) {
    const double before = CpuNs();
    constexpr int kPasses = 20;
    for (int pass = 0; pass < kPasses; ++pass) {
      out.Clear();
      (void)probes[i]->Collect(out);
    }
    std::printf("pass of probe %zu: %.2f ms CPU, %zu samples (with the recording emitter)\n", i,
                (CpuNs() - before) / kPasses / 1e6, out.samples.size());
  }
  return 0;
}

}  // namespace
}  // namespace faultline

int main() { return faultline::Main(); }
