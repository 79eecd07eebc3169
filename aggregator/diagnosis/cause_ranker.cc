// Who is it? Anomalies are gathered by subject; each is a witness for a cause, as its signal's row says. A witness convinces by
// its signal's weight, by how far it is from normal, and by its share of the whole change of that signal on its node: ten
// containers may be slower, one burns the CPU. Witnesses of one cause combine as independent probabilities. A parent cgroup
// whose change its children explain, and a node whose change its containers explain, are not suspects. Signals that
// only follow from something else can carry a suspect, but weakly.

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "aggregator/diagnosis/catalogue.h"
#include "aggregator/diagnosis/signals.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr double kExplainedShare = 0.6;
constexpr double kMinSuspectScore = 0.1;
constexpr size_t kMaxSuspects = 20;
constexpr size_t kMaxEvidence = 8;

struct SubjectKey {
  std::string node, name_space, pod, container, cgroup;
  auto operator<=>(const SubjectKey&) const = default;
  bool is_node() const { return cgroup.empty() && container.empty() && pod.empty(); }
};

SubjectKey KeyOf(const Labels& labels) {
  const auto get = [&](std::string_view name) { return std::string(LabelValue(labels, name)); };
  return {get("node"), get("namespace"), get("pod"), get("container"), get("id")};
}

double Change(const Anomaly& anomaly) { return std::abs(anomaly.during - anomaly.before); }

bool IsBelow(const std::string& path, const std::string& ancestor) {
  return path.size() > ancestor.size() && path.starts_with(ancestor) &&
         (ancestor.ends_with('/') || path[ancestor.size()] == '/');
}

std::string_view CauseOf(const Anomaly& anomaly) {
  if (anomaly.signal == "event/oom_kill") return "oom_kill";
  if (anomaly.signal == "log_error_lines") return "error_logs";
  const Signal* signal = FindSignal(anomaly.signal);
  if (signal == nullptr) return {};
  // Less work is no stop: only a counter that stands still says so.
  if (signal->cause_down == "process_stopped" && anomaly.direction != "gone") {
    return anomaly.direction == "down" ? std::string_view() : signal->cause_up;
  }
  return anomaly.direction == "up" || anomaly.direction == "new" ? signal->cause_up : signal->cause_down;
}

double WeightOf(const Anomaly& anomaly) {
  if (anomaly.signal == "event/oom_kill") return 1;
  if (anomaly.signal == "log_error_lines") return 0.3;
  const Signal* signal = FindSignal(anomaly.signal);
  return signal == nullptr ? 0 : signal->weight;
}

// The change that no cgroup below explains.
double OwnChange(const Anomaly& anomaly, const std::vector<const Anomaly*>& same_signal) {
  const SubjectKey key = KeyOf(anomaly.labels);
  std::vector<std::pair<std::string, double>> below;
  for (const Anomaly* other : same_signal) {
    const SubjectKey other_key = KeyOf(other->labels);
    if (other_key.node == key.node && !key.cgroup.empty() && IsBelow(other_key.cgroup, key.cgroup)) {
      below.emplace_back(other_key.cgroup, Change(*other));
    }
  }
  double explained = 0;
  for (const auto& [path, change] : below) {
    const bool nested = std::any_of(below.begin(), below.end(),
                                    [&](const auto& other) { return IsBelow(path, other.first); });
    if (!nested) explained += change;
  }
  return std::max(0.0, Change(anomaly) - explained);
}

struct Witness {
  const Anomaly* anomaly = nullptr;
  double own_change = 0;
  double share = 1;  // of the change of this signal on this node
};

std::vector<Witness> Witnesses(const Evidence& evidence) {
  std::map<std::string, std::vector<const Anomaly*>> by_signal;
  for (const Anomaly& anomaly : evidence.anomalies) by_signal[anomaly.signal].push_back(&anomaly);
  std::vector<Witness> witnesses;
  std::map<std::pair<std::string, std::string>, double> total;          // (signal, node)
  std::map<std::pair<std::string, std::string>, double> by_cause_total;  // (cause, node), containers only
  for (const auto& [signal_name, anomalies] : by_signal) {
    const Signal* signal = FindSignal(signal_name);
    for (const Anomaly* anomaly : anomalies) {
      Witness witness{anomaly, Change(*anomaly), 1};
      if (signal != nullptr && signal->additive) {
        witness.own_change = OwnChange(*anomaly, anomalies);
        if (witness.own_change < (1 - kExplainedShare) * Change(*anomaly)) continue;
      }
      const SubjectKey key = KeyOf(anomaly->labels);
      total[{signal_name, key.node}] += witness.own_change;
      if (!key.is_node() && signal != nullptr && signal->role == SignalRole::kCause) {
        by_cause_total[{std::string(CauseOf(*anomaly)), key.node}] += witness.own_change;
      }
      witnesses.push_back(witness);
    }
  }
  std::erase_if(witnesses, [&](const Witness& witness) {
    const SubjectKey key = KeyOf(witness.anomaly->labels);
    if (!key.is_node()) return false;
    const auto at = by_cause_total.find({std::string(CauseOf(*witness.anomaly)), key.node});
    return at != by_cause_total.end() && at->second >= kExplainedShare * witness.own_change;
  });
  for (Witness& witness : witnesses) {
    const double sum = total[{witness.anomaly->signal, KeyOf(witness.anomaly->labels).node}];
    if (sum > 0) witness.share = witness.own_change / sum;
  }
  return witnesses;
}

std::string NameOf(const Suspect& suspect) {
  if (!suspect.pod.empty()) {
    return fmt::format("{}/{}/{}", suspect.name_space, suspect.pod, suspect.container);
  }
  if (!suspect.container.empty()) return fmt::format("{} ({})", suspect.container, suspect.cgroup);
  return suspect.cgroup.empty() ? "the node itself" : suspect.cgroup;
}

std::string Explain(const Suspect& suspect) {
  const Anomaly& first = suspect.evidence.front();
  const Signal* signal = FindSignal(first.signal);
  const std::string_view unit = signal == nullptr ? "" : signal->unit;
  const std::string change = first.direction == "gone"
                                 ? fmt::format("fell from {:.3g} {} to nothing", first.before, unit)
                                 : fmt::format("went from {:.3g} to {:.3g} {}", first.before, first.during, unit);
  return fmt::format("{} on node {}: {} {} at {}", NameOf(suspect), suspect.node, first.signal, change,
                     FormatTime(suspect.onset_unix_ms * kNsPerMs).substr(11, 12));
}

// The best-supported cause of one subject; empty evidence if nothing speaks.
Suspect Judge(const SubjectKey& key, const std::vector<Witness>& witnesses, int64_t earliest_ms) {
  std::map<std::string_view, double> doubt;  // 1 - probability, by cause
  for (const Witness& witness : witnesses) {
    const std::string_view cause = CauseOf(*witness.anomaly);
    if (cause.empty()) continue;
    const double surprise = witness.anomaly->score / (witness.anomaly->score + 8);
    const double belief = WeightOf(*witness.anomaly) * surprise * (0.3 + 0.7 * witness.share);
    auto [at, inserted] = doubt.try_emplace(cause, 1.0);
    at->second *= 1 - std::min(belief, 0.99);
  }
  Suspect suspect{.node = key.node, .name_space = key.name_space, .pod = key.pod,
                  .container = key.container, .cgroup = key.cgroup, .cause = {}, .score = 0,
                  .onset_unix_ms = 0, .evidence = {}, .explanation = {}};
  for (const auto& [cause, remaining] : doubt) {
    if (1 - remaining > suspect.score) {
      suspect.score = 1 - remaining;
      suspect.cause = cause;
    }
  }
  for (const Witness& witness : witnesses) suspect.evidence.push_back(*witness.anomaly);
  std::stable_sort(suspect.evidence.begin(), suspect.evidence.end(), [&](const auto& a, const auto& b) {
    const bool a_speaks = CauseOf(a) == suspect.cause, b_speaks = CauseOf(b) == suspect.cause;
    if (a_speaks != b_speaks) return a_speaks;
    return WeightOf(a) * a.score > WeightOf(b) * b.score;
  });
  if (suspect.evidence.size() > kMaxEvidence) suspect.evidence.resize(kMaxEvidence);
  if (suspect.cause.empty()) return suspect;
  suspect.onset_unix_ms = suspect.evidence.front().onset_unix_ms;
  // Effects follow causes: who changed later is a little less likely to be the origin.
  const double late_s = static_cast<double>(suspect.onset_unix_ms - earliest_ms) / 1000;
  suspect.score *= 1 - 0.2 * std::clamp(late_s / 10, 0.0, 1.0);
  suspect.explanation = Explain(suspect);
  return suspect;
}

class CauseRanker final : public Ranker {
 public:
  std::vector<Suspect> Rank(const Evidence& evidence) const override {
    std::map<SubjectKey, std::vector<Witness>> by_subject;
    int64_t earliest_ms = evidence.end_unix_ms;
    for (const Witness& witness : Witnesses(evidence)) {
      // The same signal may be seen by several detectors: it is one witness, the most surprised one.
      auto& mine = by_subject[KeyOf(witness.anomaly->labels)];
      const auto same = std::find_if(mine.begin(), mine.end(), [&](const Witness& other) {
        return other.anomaly->signal == witness.anomaly->signal;
      });
      if (same == mine.end()) {
        mine.push_back(witness);
      } else if (witness.anomaly->direction == "gone" ||
                 (same->anomaly->direction != "gone" && witness.anomaly->score > same->anomaly->score)) {
        *same = witness;
      }
      earliest_ms = std::min(earliest_ms, witness.anomaly->onset_unix_ms);
    }
    std::vector<Suspect> suspects;
    for (const auto& [key, witnesses] : by_subject) {
      Suspect suspect = Judge(key, witnesses, earliest_ms);
      if (!suspect.cause.empty() && suspect.score >= kMinSuspectScore) suspects.push_back(std::move(suspect));
    }
    std::stable_sort(suspects.begin(), suspects.end(),
                     [](const Suspect& a, const Suspect& b) { return a.score > b.score; });
    if (suspects.size() > kMaxSuspects) suspects.resize(kMaxSuspects);
    return suspects;
  }
};

}  // namespace

std::unique_ptr<Ranker> MakeCauseRanker() { return std::make_unique<CauseRanker>(); }

}  // namespace faultline
