// An Emitter that keeps what a leaf emits, for tests. Samples read back by name and labels, or as
// the text of the whole pass in Prometheus' format, sorted, so that an expected pass is one string.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/emitter.h"
#include "common/text.h"

namespace faultline {

class RecordingEmitter final : public Emitter {
 public:
  using LabelMap = std::map<std::string, std::string>;
  struct RecordedOrigin {
    uint64_t cgroup_id = 0;
    std::string cgroup_path;
    uint32_t pid = 0;
  };
  struct RecordedSample {
    std::string name;
    v1::MetricType type = v1::METRIC_TYPE_UNTYPED;
    std::string help;
    LabelMap labels;
    double value = 0;
    RecordedOrigin origin;
  };

  std::vector<RecordedSample> samples;
  std::vector<LogChunk> logs;
  std::vector<std::pair<v1::Event, RecordedOrigin>> events;
  std::vector<std::pair<v1::Span, RecordedOrigin>> spans;
  std::vector<v1::FaultTransition> faults;
  std::vector<v1::Inventory> inventories;
  std::vector<v1::CheckResult> checks;
  std::map<std::string, uint64_t> dropped;
  bool refuse_logs = false;  // plays a full pipeline

  using Emitter::Sample;
  using Emitter::SampleOf;
  void Sample(const MetricFamily& family, LabelViews labels, double value) override {
    SampleOf(Origin{}, family, labels, value);
  }
  void SampleOf(const Origin& origin, const MetricFamily& family, LabelViews labels,
                double value) override {
    RecordedSample sample;
    sample.name = family.name;
    sample.type = family.type;
    sample.help = family.help;
    for (const LabelView& label : labels) {
      if (!sample.labels.emplace(label.name, label.value).second) {
        complaints.push_back("label " + std::string(label.name) + " twice in " + sample.name);
      }
    }
    sample.value = value;
    sample.origin = Keep(origin);
    Judge(sample);
    samples.push_back(std::move(sample));
  }
  bool Logs(LogChunk&& chunk) override {
    if (refuse_logs) return false;
    logs.push_back(std::move(chunk));
    return true;
  }
  void Event(v1::Event&& event, const Origin& origin) override {
    events.emplace_back(std::move(event), Keep(origin));
  }
  void Span(v1::Span&& span, const Origin& origin) override {
    spans.emplace_back(std::move(span), Keep(origin));
  }
  void Fault(v1::FaultTransition&& transition) override { faults.push_back(std::move(transition)); }
  void Inventory(v1::Inventory&& inventory) override {
    inventories.push_back(std::move(inventory));
  }
  void Check(v1::CheckResult&& result, bool /*urgent*/) override { checks.push_back(std::move(result)); }
  void Dropped(std::string_view reason, uint64_t count) override {
    dropped[std::string(reason)] += count;
  }

  // `name{a="x",b="y"}`, labels sorted, as in Text().
  std::optional<double> Value(std::string_view series) const {
    for (const RecordedSample& sample : samples) {
      if (SeriesText(sample) == series) return sample.value;
    }
    return std::nullopt;
  }
  // The pass as sorted lines `name{labels} value`, each family behind its `# TYPE name type`.
  std::string Text() const {
    std::map<std::string, std::vector<std::string>> families;
    for (const RecordedSample& sample : samples) {
      families["# TYPE " + FamilyName(sample) + " " + TypeName(sample.type)].push_back(
          SeriesText(sample) + " " + FormatDouble(sample.value));
    }
    std::string text;
    for (auto& [header, lines] : families) {
      std::sort(lines.begin(), lines.end());
      text += header + "\n";
      for (const std::string& line : lines) text += line + "\n";
    }
    return text;
  }
  void Clear() { *this = RecordingEmitter(); }

  // What no pass may do: a series twice, a family of two types, no help. Empty when all is well.
  std::vector<std::string> complaints;

  static std::string SeriesText(const RecordedSample& sample) {
    std::string text = sample.name;
    char separator = '{';
    for (const auto& [name, value] : sample.labels) {
      text += separator + name + "=\"" + Escape(value) + '"';
      separator = ',';
    }
    return separator == '{' ? text : text + '}';
  }
  // The series x_bucket, x_sum and x_count of a histogram or summary are of the family x.
  static std::string FamilyName(const RecordedSample& sample) {
    const bool has_parts =
        sample.type == v1::METRIC_TYPE_HISTOGRAM || sample.type == v1::METRIC_TYPE_SUMMARY;
    for (const std::string_view part : {"_bucket", "_sum", "_count"}) {
      if (has_parts && sample.name.ends_with(part)) {
        return sample.name.substr(0, sample.name.size() - part.size());
      }
    }
    return sample.name;
  }
  static std::string Escape(std::string_view value) {
    std::string text;
    for (const char c : value) {
      if (c == '\\' || c == '"') text += '\\';
      if (c == '\n') {
        text += "\\n";
      } else {
        text += c;
      }
    }
    return text;
  }
  static std::string TypeName(v1::MetricType type) {
    switch (type) {
      case v1::METRIC_TYPE_GAUGE:
        return "gauge";
      case v1::METRIC_TYPE_COUNTER:
        return "counter";
      case v1::METRIC_TYPE_HISTOGRAM:
        return "histogram";
      case v1::METRIC_TYPE_SUMMARY:
        return "summary";
      default:
        return "untyped";
    }
  }

 private:
  static RecordedOrigin Keep(const Origin& origin) {
    return {origin.cgroup_id, std::string(origin.cgroup_path), origin.pid};
  }
  void Judge(const RecordedSample& sample) {
    const std::string key = SeriesText(sample) + "@" + sample.origin.cgroup_path + "#" +
                            std::to_string(sample.origin.cgroup_id) + "#" +
                            std::to_string(sample.origin.pid);
    if (!seen_.insert(key).second) complaints.push_back("twice: " + key);
    const auto [type, is_new] = types_.emplace(sample.name, sample.type);
    if (!is_new && type->second != sample.type) complaints.push_back("two types: " + sample.name);
    if (sample.help.empty()) complaints.push_back("no help: " + sample.name);
    if (sample.type == v1::METRIC_TYPE_UNSPECIFIED) complaints.push_back("no type: " + sample.name);
  }

  std::set<std::string> seen_;
  std::map<std::string, v1::MetricType> types_;
};

}  // namespace faultline
