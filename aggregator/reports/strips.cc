// A week of a rule is a line of 84 cells of two hours, each as bad as the worst run in it; equal
// neighbours are one.
#include <algorithm>
#include <array>

#include "aggregator/reports/health_sections.h"
#include "aggregator/reports/sections.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kCells = 84;
constexpr int64_t kStripMs = kStripNs / kNsPerMs;
constexpr int64_t kCellMs = kStripMs / static_cast<int64_t>(kCells);

int WeightOf(Mood mood) {
  static constexpr std::array<int, 5> kWeights = {0, 1, 3, 4, 2};
  return kWeights[static_cast<size_t>(mood)];
}

using Cells = std::array<Mood, kCells>;

void Mark(Cells& cells, int64_t begin_ms, int64_t from_ms, int64_t to_ms, Mood mood) {
  if (mood == Mood::kPlain || to_ms < begin_ms) return;
  const int64_t last_cell = static_cast<int64_t>(kCells) - 1;
  const int64_t first = std::clamp<int64_t>((from_ms - begin_ms) / kCellMs, 0, last_cell);
  const int64_t last = std::clamp<int64_t>((to_ms - begin_ms) / kCellMs, 0, last_cell);
  for (int64_t i = first; i <= last; ++i) {
    Mood& cell = cells[static_cast<size_t>(i)];
    if (WeightOf(mood) > WeightOf(cell)) cell = mood;
  }
}

std::vector<StripSpan> Joined(const Cells& cells, int64_t begin_ms) {
  std::vector<StripSpan> strip;
  for (size_t i = 0; i < kCells; ++i) {
    const double end = static_cast<double>(i + 1) / kCells;
    if (!strip.empty() && strip.back().mood == cells[i]) {
      strip.back().end = end;
      continue;
    }
    strip.push_back({static_cast<double>(i) / kCells, end, cells[i], ""});
  }
  for (StripSpan& span : strip) {
    if (span.mood == Mood::kPlain || span.mood == Mood::kGood) continue;
    const auto at = begin_ms + static_cast<int64_t>(span.begin * static_cast<double>(kStripMs));
    span.title = FormatTime(at * kNsPerMs).substr(0, 16) + " " + std::string(MoodName(span.mood));
  }
  return strip;
}

// Calls `visit` with each matching series and its samples of the week.
template <typename Visit>
void EachSeries(const ReportSources& sources, std::string_view metric, const std::string& node,
                Visit visit) {
  if (sources.store == nullptr) return;
  const int64_t end_ms = sources.clock->UnixNs() / kNsPerMs;
  const LabelMatcher matchers[] = {{LabelMatcher::Op::kEqual, "__name__", std::string(metric)},
                                   {LabelMatcher::Op::kEqual, "node", node}};
  const auto ids = sources.store->Select(matchers, end_ms - kStripMs, end_ms);
  if (!ids) return;
  for (const SeriesId id : *ids) {
    const auto labels = sources.store->LabelsOf(id);
    const auto samples = sources.store->Fetch(id, end_ms - kStripMs, end_ms);
    if (labels && samples) visit(*labels, *samples, end_ms - kStripMs, end_ms);
  }
}

}  // namespace

std::map<std::string, std::vector<StripSpan>> VerdictStrips(const NodeHealth& health,
                                                            const ReportSources& sources) {
  std::map<std::string, std::vector<StripSpan>> strips;
  EachSeries(
      sources, "faultline_check_verdict", health.node(),
      [&](const Labels& labels, const std::vector<Sample>& samples, int64_t begin_ms,
          int64_t end_ms) {
        const std::string rule(LabelValue(labels, "rule"));
        const auto known = health.rules().find(rule);
        if (known == health.rules().end()) return;
        const v1::CheckResult& last = known->second.last();
        // A verdict holds until the next one, but for no longer than two turns.
        const int64_t holds_ms = std::max(2 * last.interval_ms(), kCellMs / 2);
        Cells cells{};
        for (size_t i = 0; i < samples.size(); ++i) {
          if (IsStale(samples[i].value)) continue;
          const int64_t next_ms = i + 1 < samples.size() ? samples[i + 1].time_ms - 1 : end_ms;
          const auto verdict = static_cast<v1::CheckVerdict>(static_cast<int>(samples[i].value));
          Mark(cells, begin_ms, samples[i].time_ms,
               std::min(next_ms, samples[i].time_ms + holds_ms), MoodOf(verdict, last.level()));
        }
        strips[rule] = Joined(cells, begin_ms);
      });
  return strips;
}

std::vector<StripSpan> ConditionStrip(const std::string& node, const ReportSources& sources) {
  Cells cells{};
  int64_t week_begin_ms = 0;
  EachSeries(
      sources, "faultline_condition", node,
      [&](const Labels& labels, const std::vector<Sample>& samples, int64_t begin_ms,
          int64_t end_ms) {
        constexpr int64_t kHoldsMs = 150'000;
        week_begin_ms = begin_ms;
        const std::string_view level = LabelValue(labels, "level");
        const Mood bad = level == "critical" || level == "fatal" ? Mood::kBad : Mood::kWarning;
        for (size_t i = 0; i < samples.size(); ++i) {
          if (IsStale(samples[i].value)) continue;
          const int64_t next_ms = i + 1 < samples.size() ? samples[i + 1].time_ms - 1 : end_ms;
          const Mood mood = samples[i].value > 0   ? bad
                            : samples[i].value < 0 ? Mood::kUnknown
                                                   : Mood::kGood;
          Mark(cells, begin_ms, samples[i].time_ms,
               std::min(next_ms, samples[i].time_ms + kHoldsMs), mood);
        }
      });
  return week_begin_ms == 0 ? std::vector<StripSpan>() : Joined(cells, week_begin_ms);
}

}  // namespace faultline
