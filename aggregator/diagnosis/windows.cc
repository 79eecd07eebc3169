#include "aggregator/diagnosis/windows.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace faultline {
namespace {

constexpr int64_t kMaxGapMs = 60'000;    // across a longer gap a rate says nothing
constexpr int64_t kLogBucketMs = 1000;
constexpr size_t kMaxLogLines = 200'000;

using Points = std::map<int64_t, double>;  // by time, summed over series

bool CountsAsError(const LogEntry& entry) {
  if (entry.severity != v1::SEVERITY_UNSPECIFIED) return entry.severity >= v1::SEVERITY_ERROR;
  for (const std::string_view word : {"error", "Error", "ERROR", "FATAL", "Exception", "panic:"}) {
    if (entry.body.find(word) != std::string::npos) return true;
  }
  return false;
}

void AddPoints(const std::vector<Sample>& samples, SignalKind kind, Points* points) {
  const Sample* previous = nullptr;
  for (const Sample& sample : samples) {
    if (IsStale(sample.value)) {
      previous = nullptr;
      continue;
    }
    if (kind == SignalKind::kGauge) {
      (*points)[sample.time_ms] += sample.value;
      continue;
    }
    if (previous != nullptr && sample.time_ms - previous->time_ms <= kMaxGapMs) {
      // A counter that fell was reset: what it shows now is what came since.
      const double increase =
          sample.value >= previous->value ? sample.value - previous->value : sample.value;
      (*points)[sample.time_ms] += increase * 1000 / static_cast<double>(sample.time_ms - previous->time_ms);
    }
    previous = &sample;
  }
}

Labels SubjectOf(const Labels& labels, std::string_view metric) {
  Labels subject = {{"__name__", std::string(metric)}};
  for (const std::string_view name : kSubjectLabels) {
    if (const std::string_view value = LabelValue(labels, name); !value.empty()) {
      subject.emplace_back(name, value);
    }
  }
  SortLabels(subject);
  return subject;
}

std::string Selector(std::string_view metric, const Labels& subject, std::string_view more) {
  std::string text = fmt::format("{}{{", metric);
  const char* separator = "";
  for (const auto& [name, value] : subject) {
    if (name == "__name__") continue;
    text += fmt::format("{}{}=\"{}\"", separator, name, value);
    separator = ",";
  }
  if (!more.empty()) text += fmt::format("{}{}", separator, more);
  return text + "}";
}

std::string Expression(const Signal& signal, const Labels& subject) {
  switch (signal.kind) {
    case SignalKind::kGauge:
      return fmt::format("sum({})", Selector(signal.metric, subject, signal.selector));
    case SignalKind::kRate:
      return fmt::format("sum(rate({}[5s]))", Selector(signal.metric, subject, signal.selector));
    case SignalKind::kMean:
      return fmt::format("sum(rate({}[5s])) / sum(rate({}[5s]))",
                         Selector(fmt::format("{}_sum", signal.metric), subject, signal.selector),
                         Selector(fmt::format("{}_count", signal.metric), subject, signal.selector));
  }
  return {};
}

SeriesWindow Split(Labels labels, std::string expression, v1::MetricType type, const Points& points,
                   const DiagnosisRequest& request) {
  SeriesWindow window{.labels = std::move(labels), .type = type, .expression = std::move(expression),
                      .baseline = {}, .window = {}};
  for (const auto& [time_ms, value] : points) {
    (time_ms <= request.begin_unix_ms ? window.baseline : window.window).push_back({time_ms, value});
  }
  return window;
}

// mode!~"idle|iowait" -> matcher; the catalogue holds at most one.
void AddSelector(std::string_view selector, std::vector<LabelMatcher>* matchers) {
  const size_t at = selector.find("!~");
  if (at == std::string_view::npos) return;
  const std::string_view quoted = selector.substr(at + 2);
  matchers->push_back({LabelMatcher::Op::kNotMatches, std::string(selector.substr(0, at)),
                       std::string(quoted.substr(1, quoted.size() - 2))});
}

// Points of every subject that has the metric.
Result<std::map<Labels, Points>> ReadPoints(Store* store, const std::string& metric, const Signal& signal,
                                            const DiagnosisRequest& request, size_t* series_examined) {
  std::vector<LabelMatcher> matchers = SubjectMatchers(request);
  matchers.push_back({LabelMatcher::Op::kEqual, "__name__", metric});
  AddSelector(signal.selector, &matchers);
  const int64_t begin = request.begin_unix_ms - request.baseline_ms;
  FAULTLINE_ASSIGN(const auto ids, store->Select(matchers, begin, request.end_unix_ms));
  std::map<Labels, Points> points;
  for (const SeriesId id : ids) {
    FAULTLINE_ASSIGN(const Labels labels, store->LabelsOf(id));
    FAULTLINE_ASSIGN(const auto samples, store->Fetch(id, begin, request.end_unix_ms));
    AddPoints(samples, signal.kind == SignalKind::kGauge ? SignalKind::kGauge : SignalKind::kRate,
              &points[SubjectOf(labels, signal.metric)]);
  }
  *series_examined += ids.size();
  return points;
}

}  // namespace

std::vector<LabelMatcher> SubjectMatchers(const DiagnosisRequest& request) {
  std::vector<LabelMatcher> matchers;
  const auto equal = [&](const char* name, const std::string& value) {
    if (!value.empty()) matchers.push_back({LabelMatcher::Op::kEqual, name, value});
  };
  equal("node", request.node);
  equal("namespace", request.name_space);
  equal("pod", request.pod);
  equal("container", request.container);
  return matchers;
}

Result<void> ReadSignal(Store* store, const Signal& signal, const DiagnosisRequest& request,
                        WindowSet* out) {
  const std::string metric(signal.metric);
  if (signal.kind != SignalKind::kMean) {
    FAULTLINE_ASSIGN(const auto points, ReadPoints(store, metric, signal, request, &out->series_examined));
    const auto type = signal.kind == SignalKind::kGauge ? v1::METRIC_TYPE_GAUGE : v1::METRIC_TYPE_COUNTER;
    for (const auto& [subject, values] : points) {
      out->windows.push_back(Split(subject, Expression(signal, subject), type, values, request));
    }
    return {};
  }
  FAULTLINE_ASSIGN(const auto sums,
                   ReadPoints(store, metric + "_sum", signal, request, &out->series_examined));
  FAULTLINE_ASSIGN(auto counts,
                   ReadPoints(store, metric + "_count", signal, request, &out->series_examined));
  for (const auto& [subject, sum] : sums) {
    Points means;
    const Points& count = counts[subject];
    for (const auto& [time_ms, value] : sum) {
      const auto at = count.find(time_ms);
      if (at != count.end() && at->second > 0) means[time_ms] = value / at->second;
    }
    out->windows.push_back(
        Split(subject, Expression(signal, subject), v1::METRIC_TYPE_GAUGE, means, request));
  }
  return {};
}

Result<void> ReadErrorLogs(Store* store, const DiagnosisRequest& request, WindowSet* out) {
  LogQuery query;
  query.matchers = SubjectMatchers(request);
  if (query.matchers.empty()) query.matchers.push_back({LabelMatcher::Op::kNotEqual, "node", ""});
  query.begin_unix_ns = (request.begin_unix_ms - request.baseline_ms) * kNsPerMs;
  query.end_unix_ns = request.end_unix_ms * kNsPerMs;
  query.newest_first = false;
  const int64_t first = (request.begin_unix_ms - request.baseline_ms) / kLogBucketMs;
  const int64_t last = request.end_unix_ms / kLogBucketMs;
  std::map<Labels, Points> by_subject;
  size_t lines = 0;
  FAULTLINE_TRY(store->ScanLogs(query, [&](const Labels& stream, const LogEntry& entry) {
    Points& points = by_subject[SubjectOf(stream, "log_error_lines")];
    if (points.empty()) {
      for (int64_t bucket = first; bucket <= last; ++bucket) points[bucket * kLogBucketMs] = 0;
    }
    if (CountsAsError(entry)) points[entry.time_unix_ns / kNsPerMs / kLogBucketMs * kLogBucketMs] += 1;
    return ++lines < kMaxLogLines;
  }));
  for (const auto& [subject, points] : by_subject) {
    const std::string selector = Selector("", subject, "");
    out->windows.push_back(Split(subject,
                                 fmt::format("rate({} |~ \"(?i)error|exception|fatal|panic\" [5s])", selector),
                                 v1::METRIC_TYPE_GAUGE, points, request));
  }
  out->series_examined += by_subject.size();
  return {};
}

}  // namespace faultline
