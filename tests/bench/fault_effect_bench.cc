// How much of what was asked really happens: every magnitude that a fault of the catalogue takes,
// injected by the engine and measured by a probe that knows nothing of faults. Prints asked,
// measured and their ratio: the median and the worst of ROUNDS. Faults without a magnitude are
// named at the end. fault_effect_bench [ROUNDS] [WORD OF THE NAME]
#include "tests/bench/fault_effect_cases.h"

namespace faultline {
namespace {

// A number, or "!why not".
std::string Measure(const EffectCase& one) {
  FaultTrial trial;
  const EffectProbe probe = one.prepare(trial);
  if (!probe) return "!the probe cannot be made here";
  if (const auto trouble = trial.Begin(one.fault, one.parameters, 120'000); !trouble.empty())
    return "!" + trouble;
  if (!one.at_once) (void)trial.Verified();
  return fmt::format("{}", probe());
}

}  // namespace
}  // namespace faultline

int main(int argc, char** argv) {
  using namespace faultline;
  const int rounds = argc > 1 ? static_cast<int>(ParseInt(argv[1]).value_or(3)) : 3;
  const std::string only = argc > 2 ? argv[2] : "";
  std::set<std::string> with_magnitude;
  int outside = 0, all = 0;
  std::printf("%-18s %-62s %-26s %10s %10s %7s %7s %2s\n", "fault", "parameters", "what", "asked",
              "median", "ratio", "worst", "n");
  for (const EffectCase& one : EffectCases()) {
    with_magnitude.insert(one.fault);
    if (one.fault.find(only) == std::string::npos) continue;
    std::printf("%-18s %-62s %-26s %10.6g ", one.fault.c_str(), one.parameters.c_str(),
                one.what.c_str(), one.asked);
    std::vector<double> ratios;
    std::string trouble;
    for (int round = 0; round < rounds; ++round) {
      const std::string answer = FaultTrial::InChild([&] { return Measure(one); });
      if (const auto measured = ParseDouble(answer)) {
        ratios.push_back(*measured / one.asked);
      } else {
        trouble = answer.empty() ? "the trial ended" : answer.substr(1);
      }
    }
    ++all;
    if (ratios.empty()) {
      std::printf("%s\n", trouble.c_str());
      ++outside;
      continue;
    }
    std::sort(ratios.begin(), ratios.end());
    const double median = ratios[ratios.size() / 2];
    const double worst = ratios.back() - 1 > 1 - ratios.front() ? ratios.back() : ratios.front();
    const bool off = std::abs(median - 1) > 0.1;
    outside += off;
    std::printf("%10.6g %7.3f %7.3f %2zu%s\n", median * one.asked, median, worst, ratios.size(),
                off                         ? "  OUTSIDE 10 %"
                : std::abs(worst - 1) > 0.1 ? "  (worst outside)"
                                            : "");
    std::fflush(stdout);
  }
  std::printf("%d of %d medians within 10 %%\nwithout a magnitude:", all - outside, all);
  for (const FaultRow& row : FaultCatalogue()) {
    if (!with_magnitude.contains(std::string(row.name))) std::printf(" %s", row.name.data());
  }
  std::printf("\n");
  return 0;
}
