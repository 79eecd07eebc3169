// Prints passes of all collectors below a root as Prometheus text, without agent, pipeline and
// network: what the parity test compares on fixture folders, and what a profiler looks at.
//   collect_once [--root DIR] [--passes N] [--only NAME] [--quiet]
#include <sys/resource.h>

#include <cstdio>
#include <cstring>

#include "agent/collectors/collector.h"
#include "faultline/v1/config.pb.h"
#include "tests/support/recording_emitter.h"

namespace faultline {
namespace {

// Counts only: the cost of the collectors themselves.
class NullEmitter final : public Emitter {
 public:
  uint64_t samples = 0;
  void Sample(const MetricFamily&, LabelViews, double) override { ++samples; }
  void SampleOf(const Origin&, const MetricFamily&, LabelViews, double) override { ++samples; }
  bool Logs(LogChunk&&) override { return true; }
  void Event(v1::Event&&, const Origin&) override {}
  void Span(v1::Span&&, const Origin&) override {}
  void Fault(v1::FaultTransition&&) override {}
  void Inventory(v1::Inventory&&) override {}
  void Dropped(std::string_view, uint64_t) override {}
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int Run(const std::string& root, int passes, std::string_view only, bool quiet) {
  SystemClock clock;
  const HostView host = HostView::Real(root, &clock);
  const v1::AgentConfig config;
  std::vector<std::pair<std::string_view, std::unique_ptr<Collector>>> collectors;
  for (const CollectorRow& row : CollectorCatalogue()) {
    if (!only.empty() && row.name != only) continue;
    auto made = row.make(LeafContext{host, config});
    if (made) {
      collectors.emplace_back(row.name, std::move(*made));
    } else {
      std::fprintf(stderr, "%s: %s\n", std::string(row.name).c_str(), made.error().message.c_str());
    }
  }
  for (int pass = 0; pass < passes; ++pass) {
    RecordingEmitter recorded;
    for (auto& [name, collector] : collectors) {
      NullEmitter counted;
      const double before = CpuSeconds();
      const auto result = quiet ? collector->Collect(counted) : collector->Collect(recorded);
      if (quiet && pass + 1 == passes) {
        std::printf("%-18s %8.1f us %6zu samples\n", std::string(name).c_str(),
                    (CpuSeconds() - before) * 1e6, static_cast<size_t>(counted.samples));
      }
      if (!result && pass == 0) {
        std::fprintf(stderr, "%s: %s\n", std::string(name).c_str(), result.error().message.c_str());
      }
    }
    if (!quiet && pass + 1 == passes) std::printf("%s", recorded.Text().c_str());
    for (const std::string& complaint : recorded.complaints) {
      std::fprintf(stderr, "complaint: %s\n", complaint.c_str());
    }
  }
  return 0;
}

}  // namespace
}  // namespace faultline

int main(int argc, char** argv) {
  std::string root = "/", only;
  int passes = 1;
  bool quiet = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--quiet") {
      quiet = true;
    } else if (i + 1 < argc && option == "--root") {
      root = argv[++i];
    } else if (i + 1 < argc && option == "--only") {
      only = argv[++i];
    } else if (i + 1 < argc && option == "--passes") {
      passes = std::atoi(argv[++i]);
    } else {
      std::fprintf(stderr,
                   "usage: collect_once [--root DIR] [--passes N] [--only NAME] [--quiet]\n");
      return 2;
    }
  }
  return faultline::Run(root, passes, only, quiet);
}
