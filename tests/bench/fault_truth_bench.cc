// When a fault was in force, as its label says, and as somebody outside sees it: an observer looks
// every millisecond from before the injection until after the end. Labels are made by the
// aggregator's own GroundTruth from the engine's transitions. Prints onset and end minus the
// label's, in ms: the median and the worst of ROUNDS. fault_truth_bench [ROUNDS] [WORD OF THE NAME]
#include "tests/bench/fault_truth_cases.h"

#include <set>

#include "aggregator/labels/ground_truth.h"
#include "tests/support/memory_documents.h"

namespace faultline {
namespace {

constexpr int64_t kLastsMs = 1500;

struct Observed {
  int64_t first_ns = 0, last_ns = 0;
  int64_t longest_look_ns = 0;
};

class Watch {
 public:
  Watch(const HostView& view, std::function<bool()> sees)
      : thread_([this, &view, sees = std::move(sees)] {
          int in_a_row = 0;
          int64_t row_began = 0;
          while (!stop_) {
            const int64_t begin = view.clock->UnixNs();
            const bool there = sees();
            const int64_t end = view.clock->UnixNs();
            observed.longest_look_ns = std::max(observed.longest_look_ns, end - begin);
            // One look may be disturbed by a busy machine; three in a row are not.
            in_a_row = there ? in_a_row + 1 : 0;
            if (in_a_row == 1) row_began = begin;
            if (in_a_row >= 3 && observed.first_ns == 0) observed.first_ns = row_began;
            if (in_a_row >= 3) observed.last_ns = begin;
            usleep(500);
          }
        }) {}
  ~Watch() { Stop(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  void Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  Observed observed;

 private:
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// "onset end look" in ms from the label, or "!why not".
std::string Measure(const TruthCase& one) {
  FaultTrial trial;
  const auto sees = one.prepare(trial);
  if (!sees) return "!the observer cannot be made here";
  Watch watch(trial.view, sees);
  usleep(100'000);
  const std::string trouble = trial.Begin(one.fault, one.parameters, kLastsMs);
  if (!trouble.empty()) return "!" + trouble;
  const auto injected = trial.run->Wait(trial.uid(), v1::FAULT_PHASE_INJECTED);
  const auto recovered = trial.run->Wait(trial.uid(), v1::FAULT_PHASE_RECOVERED, 20'000);
  usleep(200'000);
  watch.Stop();
  if (!injected || !recovered) return "!no transitions";
  MemoryDocuments store;
  GroundTruth truth(&store);
  truth.Apply("n1", *injected, 0);
  truth.Apply("n1", *recovered, 0);
  const auto label = truth.Find(trial.uid());
  if (!label) return "!no label";
  if (watch.observed.first_ns == 0) return "!nothing was seen";
  const auto ms = [](int64_t ns) { return static_cast<double>(ns) / 1e6; };
  return fmt::format("{} {} {}", ms(watch.observed.first_ns - label->begin_unix_ns),
                     one.has_end ? ms(watch.observed.last_ns - label->end_unix_ns) : 0,
                     ms(watch.observed.longest_look_ns));
}

struct Differences {
  std::vector<double> ms;
  double Median() {
    std::sort(ms.begin(), ms.end());
    return ms[ms.size() / 2];
  }
  double Worst() {
    std::sort(ms.begin(), ms.end());
    return std::abs(ms.front()) > std::abs(ms.back()) ? ms.front() : ms.back();
  }
};

}  // namespace
}  // namespace faultline

int main(int argc, char** argv) {
  using namespace faultline;
  const int rounds = argc > 1 ? static_cast<int>(ParseInt(argv[1]).value_or(3)) : 3;
  const std::string only = argc > 2 ? argv[2] : "";
  std::printf("%-22s %-34s %14s %14s %10s %2s\n", "fault", "seen by", "onset ms", "end ms",
              "look ms", "n");
  std::set<std::string> seen;
  int all = 0, within = 0;
  for (const TruthCase& one : TruthCases()) {
    seen.insert(one.fault);
    if (one.fault.find(only) == std::string::npos) continue;
    Differences onset, end, look;
    std::string trouble;
    for (int round = 0; round < rounds; ++round) {
      const std::string answer = FaultTrial::InChild([&] { return Measure(one); });
      std::string_view rest = answer;
      const auto first = ParseDouble(NextWord(rest));
      if (!first) {
        trouble = answer.empty() ? "the trial ended" : answer.substr(1);
        continue;
      }
      onset.ms.push_back(*first);
      end.ms.push_back(ParseDouble(NextWord(rest)).value_or(1e9));
      look.ms.push_back(ParseDouble(NextWord(rest)).value_or(1e9));
    }
    ++all;
    std::printf("%-22s %-34s ", one.fault.c_str(), one.seen_by.c_str());
    if (onset.ms.empty()) {
      std::printf("%s\n", trouble.c_str());
      continue;
    }
    const bool good =
        trouble.empty() && std::abs(onset.Worst()) <= 100 && std::abs(end.Worst()) <= 100;
    within += good;
    std::printf("%+6.1f %+7.1f %+6.1f %+7.1f %10.1f %2zu%s%s\n", onset.Median(), onset.Worst(),
                end.Median(), end.Worst(), look.Worst(), onset.ms.size(),
                good ? "" : "  NOT WITHIN 100 ms ", trouble.c_str());
    std::fflush(stdout);
  }
  std::printf("%d of %d within 100 ms in every round\nnot observed here:", within, all);
  for (const FaultRow& row : FaultCatalogue()) {
    if (!seen.contains(std::string(row.name))) std::printf(" %s", row.name.data());
  }
  std::printf("\n");
  return 0;
}
