// Reads what the detectors look at from the store: one window per (signal, subject), counters already as rates, summed over the
// series of the subject. The only place of this folder, besides the diagnoser, that touches the store.
#pragma once

#include <vector>

#include "aggregator/diagnosis/diagnosis.h"
#include "aggregator/diagnosis/signals.h"

namespace faultline {

struct WindowSet {
  std::vector<SeriesWindow> windows;
  size_t series_examined = 0;
};

// The labels that say whose a series is; everything else is summed over.
constexpr std::string_view kSubjectLabels[] = {"node", "namespace", "pod", "container", "id"};

// What `request` is about, as matchers on subject labels.
std::vector<LabelMatcher> SubjectMatchers(const DiagnosisRequest& request);

Result<void> ReadSignal(Store* store, const Signal& signal, const DiagnosisRequest& request, WindowSet* out);
// Error lines per second by subject, from logs; bounded in lines read.
Result<void> ReadErrorLogs(Store* store, const DiagnosisRequest& request, WindowSet* out);

}  // namespace faultline
