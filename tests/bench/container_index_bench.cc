// What a pass of the container index costs with N cgroups (default 1000) in every hierarchy of this
// machine: the first pass, one in which nothing happened, and one with a birth and a death; then a
// pass of each container collector over them. Needs root; cleans up.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <set>

#include "agent/collectors/collector.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

// Costs nothing itself.
class CountingEmitter final : public Emitter {
 public:
  using Emitter::Sample;
  using Emitter::SampleOf;
  void Sample(const MetricFamily&, LabelViews, double) override { ++samples; }
  void SampleOf(const Origin&, const MetricFamily&, LabelViews, double) override { ++samples; }
  bool Logs(LogChunk&&) override { return true; }
  void Event(v1::Event&&, const Origin&) override {}
  void Span(v1::Span&&, const Origin&) override {}
  void Fault(v1::FaultTransition&&) override {}
  void Inventory(v1::Inventory&&) override {}
  void Dropped(std::string_view, uint64_t) override {}
  uint64_t samples = 0;
};

double CpuMs() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& t) { return t.tv_sec * 1e3 + t.tv_usec / 1e3; };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

int Main(int count) {
  SystemClock clock;
  const HostView host = HostView::Real("/", &clock);
  v1::AgentConfig config;
  config.mutable_containers()->set_max_cgroups(static_cast<uint32_t>(count) + 100);
  auto index = ContainerIndex::Create(host, config);
  if (!index) {
    std::printf("no cgroups: %s\n", index.error().message.c_str());
    return 0;
  }
  std::set<std::string> roots = {(*index)->mounts().unified};
  for (const auto& [controller, mount_point] : (*index)->mounts().v1) roots.insert(mount_point);
  roots.erase("");
  const std::string parent = "/faultline-bench-" + std::to_string(getpid());
  const auto path = [&](const std::string& root, int i) {
    return root + parent + "/g" + std::to_string(i);
  };
  for (const std::string& root : roots) {
    mkdir((root + parent).c_str(), 0755);
    for (int i = 0; i < count; ++i) mkdir(path(root, i).c_str(), 0755);
  }
  const auto pass = [&](const char* what, int times) {
    const double before = CpuMs();
    for (int i = 0; i < times; ++i) {
      if (!(*index)->Refresh()) std::puts("refresh failed");
    }
    std::printf("%-40s %8.2f ms CPU\n", what, (CpuMs() - before) / times);
  };
  pass("first pass", 1);
  pass("nothing happened", 20);
  for (const std::string& root : roots) rmdir(path(root, 0).c_str());
  for (const std::string& root : roots) mkdir(path(root, count).c_str(), 0755);
  pass("one birth, one death", 1);
  std::printf("%zu hierarchies, %zu cgroups listed, %llu beyond the limit\n", roots.size(),
              (*index)->containers().size(),
              static_cast<unsigned long long>((*index)->excess_cgroups()));
  for (const CollectorRow& row : CollectorCatalogue()) {
    if (!row.name.starts_with("container_")) continue;
    auto leaf = row.make(LeafContext{host, config, index->get()});
    if (!leaf) continue;
    CountingEmitter out;
    const double before = CpuMs();
    constexpr int kPasses = 5;
    for (int i = 0; i < kPasses; ++i) (void)(*leaf)->Collect(out);
    std::printf("%-40s %8.2f ms CPU, %llu samples\n", std::string(row.name).c_str(),
                (CpuMs() - before) / kPasses,
                static_cast<unsigned long long>(out.samples / kPasses));
  }
  for (const std::string& root : roots) {
    for (int i = 1; i <= count; ++i) rmdir(path(root, i).c_str());
    rmdir((root + parent).c_str());
  }
  return 0;
}

}  // namespace
}  // namespace faultline

int main(int argc, char** argv) { return faultline::Main(argc > 1 ? std::atoi(argv[1]) : 1000); }
