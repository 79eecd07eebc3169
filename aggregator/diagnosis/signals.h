// What diagnosis looks at: which metric says what about whom. A row more is a thing more that can be seen. Signals are summed over
// the series of one subject (container, or the node), so that one syscall or one device does not count as one witness.
#pragma once

#include <span>
#include <string_view>

namespace faultline {

enum class SignalKind {
  kGauge,
  kRate,       // per second, of a counter
  kMean,       // rate(<metric>_sum) / rate(<metric>_count)
};

enum class SignalRole {
  kCause,      // the subject itself does or suffers this: it may be the origin
  kSymptom,    // this follows from something else, on the same node or elsewhere
};

struct Signal {
  std::string_view metric;
  SignalKind kind = SignalKind::kGauge;
  SignalRole role = SignalRole::kCause;
  std::string_view cause_up;      // what a rise means; empty: nothing by itself
  std::string_view cause_down;
  double weight = 1;              // how much this alone convinces, 0..1
  double floor = 0;               // changes below this, in the signal's unit, are never anomalies
  std::string_view unit;
  bool additive = true;           // a parent cgroup's value contains its children's
  std::string_view selector = ""; // further matchers, as mode!="idle"
};

std::span<const Signal> SignalCatalogue();
const Signal* FindSignal(std::string_view metric);

}  // namespace faultline
