// What the store costs: CPU per sample of native batches, memory per series, bytes per sample,
// restart.
//   store_bench ingest [series] [steps]     batches of 500 series per node, one instant each
//   store_bench capture FILE [nodes] [hours] [interval_s]   recorded node metrics
//   (tests/support/node_metrics.h)
#include <sys/resource.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "tests/support/node_metrics.h"

namespace faultline {
namespace {

double CpuSeconds() {
  struct rusage usage;
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

double ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  double size = 0;
  double resident = 0;
  statm >> size >> resident;
  return resident * 4096;
}

class Run {
 public:
  Run() {
    std::string pattern = (std::filesystem::temp_directory_path() / "store_bench_XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    folder_ = pattern;
    options_.folder = folder_;
    Open();
  }
  ~Run() {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Open() {
    auto store = OpenRocksDbStore(options_, &clock_);
    if (!store) {
      std::fprintf(stderr, "%s\n", store.error().message.c_str());
      std::exit(1);
    }
    store_ = *std::move(store);
  }
  Store& store() { return *store_; }
  void Append(AppendBatch&& batch) {
    samples_ += batch.samples.size();
    while (in_flight_ > 64) in_flight_.wait(in_flight_.load());
    ++in_flight_;
    store_->Append(std::move(batch), [this](Result<void> result) {
      if (!result) std::fprintf(stderr, "%s\n", result.error().message.c_str());
      --in_flight_;
      in_flight_.notify_all();
    });
  }
  void Drain() {
    for (int left = in_flight_; left > 0; left = in_flight_) in_flight_.wait(left);
  }
  // Closes, opens, and says what lies on disk.
  void Report() {
    Drain();
    std::printf("rejected %llu of %llu samples\n",
                static_cast<unsigned long long>(store_->Stats().samples_rejected),
                static_cast<unsigned long long>(samples_));
    double cpu = CpuSeconds();
    store_.reset();
    const int64_t begin = clock_.SteadyNs();
    Open();
    std::printf("restart %.2f s, %.2f CPU-s (close and open)\n",
                1e-9 * static_cast<double>(clock_.SteadyNs() - begin), CpuSeconds() - cpu);
    const auto bytes = static_cast<double>(store_->Stats().bytes_on_disk);
    std::printf("disk %.1f MB, %.3f bytes per sample (log and write-ahead log included)\n",
                1e-6 * bytes, bytes / static_cast<double>(samples_));
    if (std::getenv("STORE_BENCH_KEEP") != nullptr) {
      std::filesystem::copy(folder_, std::getenv("STORE_BENCH_KEEP"),
                            std::filesystem::copy_options::recursive);
    }
  }
  uint64_t samples() const { return samples_; }

 private:
  SystemClock clock_;
  StoreOptions options_;
  std::string folder_;
  std::unique_ptr<Store> store_;
  std::atomic<int> in_flight_ = 0;
  uint64_t samples_ = 0;
};

void Ingest(size_t series, size_t steps) {
  constexpr size_t kPerNode = 500;
  Run run;
  std::mt19937_64 random(1);
  const double memory_before = ResidentBytes();
  double cpu = CpuSeconds();
  std::vector<SeriesId> ids;
  for (size_t i = 0; i < series; ++i) {
    ids.push_back(run.store()
                      .InternSeries({{"__name__", "metric_" + std::to_string(i % kPerNode)},
                                     {"device", "dev" + std::to_string(i % 10)},
                                     {"job", "node"},
                                     {"mode", "mode" + std::to_string(i % 7)},
                                     {"node", "node-" + std::to_string(i / kPerNode)}},
                                    {})
                      .value());
  }
  std::printf("%zu series interned in %.2f CPU-s\n", series, CpuSeconds() - cpu);
  std::vector<double> value(series, 1000);
  std::vector<AppendBatch> batches;
  double spent = 0;
  for (size_t step = 0; step < steps; ++step) {
    batches.clear();
    for (size_t first = 0; first < series; first += kPerNode) {
      AppendBatch& batch = batches.emplace_back();
      for (size_t i = first; i < std::min(series, first + kPerNode); ++i) {
        const auto noise = static_cast<double>(random() % 1000);
        if (i % 4 == 0) value[i] += noise;
        if (i % 4 == 1) value[i] = noise / 100;
        if (i % 4 == 2) value[i] = std::round(value[i] * 100 + noise) / 100;
        batch.samples.push_back(
            {ids[i], 1'763'600'000'000 + static_cast<int64_t>(step) * 15'000, value[i]});
      }
    }
    cpu = CpuSeconds();
    for (AppendBatch& batch : batches) run.Append(std::move(batch));
    run.Drain();
    spent += CpuSeconds() - cpu;
    if (step == 0) std::printf("first sample of each: %.2f CPU-s\n", spent);
  }
  std::printf("%.2f M samples in %.2f CPU-s: %.2f M per CPU-second\n",
              1e-6 * static_cast<double>(run.samples()), spent,
              1e-6 * static_cast<double>(run.samples()) / spent);
  std::printf("memory %.0f bytes per series resident\n",
              (ResidentBytes() - memory_before) / static_cast<double>(series));
  run.Report();
}

void Capture(const char* path, size_t nodes, size_t hours, size_t interval_s) {
  const std::vector<RecordedSeries> recorded = LoadNodeMetrics(path);
  Run run;
  std::vector<NodeReplay> replays;
  std::vector<std::vector<SeriesId>> ids(nodes);
  for (size_t node = 0; node < nodes; ++node) {
    replays.emplace_back(recorded, node, interval_s);
    for (const RecordedSeries& series : recorded) {
      Labels labels = series.labels;
      labels.emplace_back("node", "node-" + std::to_string(node));
      SortLabels(labels);
      ids[node].push_back(run.store().InternSeries(labels, {}).value());
    }
  }
  std::vector<double> values;
  double spent = 0;
  constexpr size_t kStepsAtOnce = 20;
  const size_t steps = hours * 3600 / interval_s;
  for (size_t first = 0; first < steps; first += kStepsAtOnce) {
    std::vector<AppendBatch> batches;
    for (size_t step = first; step < std::min(steps, first + kStepsAtOnce); ++step) {
      for (size_t node = 0; node < nodes; ++node) {
        replays[node].Next(values);
        AppendBatch& batch = batches.emplace_back();
        // Nodes differ in phase, not in kind.
        const int64_t time_ms =
            1'763'596'800'000 + static_cast<int64_t>(step * interval_s * 1000 + node * 37 % 1000);
        for (size_t i = 0; i < values.size(); ++i) {
          if (!std::isnan(values[i])) batch.samples.push_back({ids[node][i], time_ms, values[i]});
        }
      }
    }
    const double cpu = CpuSeconds();
    for (AppendBatch& batch : batches) run.Append(std::move(batch));
    run.Drain();
    spent += CpuSeconds() - cpu;
  }
  std::printf("%zu series, %.2f M samples in %.2f CPU-s: %.2f M per CPU-second\n",
              recorded.size() * nodes, 1e-6 * static_cast<double>(run.samples()), spent,
              1e-6 * static_cast<double>(run.samples()) / spent);
  run.Report();
}

}  // namespace
}  // namespace faultline

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "ingest";
  if (what == "capture" && argc > 2) {
    const auto number = [&](int i, size_t otherwise) {
      return argc > i ? std::strtoul(argv[i], nullptr, 10) : otherwise;
    };
    faultline::Capture(argv[2], number(3, 4), number(4, 24), number(5, 15));
  } else {
    faultline::Ingest(argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 10'000,
                      argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 500);
  }
  return 0;
}
