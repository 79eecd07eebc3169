#include "aggregator/query/logql_pipeline.h"

#include <algorithm>

#include "aggregator/query/matrix.h"

namespace faultline::logql {
namespace {

std::string_view LevelOf(v1::Severity severity) {
  if (severity >= v1::SEVERITY_FATAL) return "fatal";
  if (severity >= v1::SEVERITY_ERROR) return "error";
  if (severity >= v1::SEVERITY_WARN) return "warn";
  if (severity >= v1::SEVERITY_INFO) return "info";
  if (severity >= v1::SEVERITY_DEBUG) return "debug";
  return severity >= v1::SEVERITY_TRACE ? "trace" : "";
}

std::string LabelNameOf(std::string_view attribute) {
  std::string name(attribute);
  for (char& c : name) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!plain) c = '_';
  }
  if (!name.empty() && name[0] >= '0' && name[0] <= '9') name.insert(name.begin(), '_');
  return name;
}

}  // namespace

std::string_view LogLine::Get(std::string_view name) const {
  for (const auto& [key, value] : extra) {
    if (key == name) return value;
  }
  if (std::find(removed_.begin(), removed_.end(), name) != removed_.end()) return {};
  return LabelValue(*stream, name);
}

void LogLine::Set(std::string_view name, std::string_view value) {
  for (auto& [key, old] : extra) {
    if (key == name) {
      old = value;
      return;
    }
  }
  extra.emplace_back(name, value);
}

void LogLine::Remove(std::string_view name) {
  std::erase_if(extra, [&](const auto& label) { return label.first == name; });
  removed_.emplace_back(name);
}

void LogLine::Extract(std::string_view name, std::string_view value) {
  const std::string label = LabelNameOf(name);
  if (label.empty()) return;
  if (LabelValue(*stream, label).empty()) {
    Set(label, value);
  } else {
    Set(label + "_extracted", value);
  }
}

Labels LogLine::Merged() const {
  Labels labels = *stream;
  for (const std::string& name : removed_) promql::DropLabel(labels, name);
  for (const auto& [name, value] : extra) promql::SetLabel(labels, name, value);
  return labels;
}

Result<void> ScanPipeline(Store& store, const Pipeline& pipeline, int64_t begin_unix_ns,
                          int64_t end_unix_ns, bool newest_first,
                          const std::function<Result<bool>(LogLine&)>& visit) {
  LogQuery query;
  query.matchers = pipeline.matchers;
  query.begin_unix_ns = begin_unix_ns;
  query.end_unix_ns = end_unix_ns;
  query.newest_first = newest_first;
  for (const auto& stage : pipeline.stages) {
    if (stage->rewrites()) break;
    if (!stage->needle().empty()) query.needles.emplace_back(stage->needle());
  }
  Result<void> outcome;
  FAULTLINE_TRY(store.ScanLogs(query, [&](const Labels& stream, const LogEntry& entry) {
    LogLine line;
    line.time_unix_ns = entry.time_unix_ns;
    line.text = entry.body;
    line.stream = &stream;
    for (const auto& [name, value] : entry.attributes) line.Extract(name, value);
    if (const std::string_view level = LevelOf(entry.severity); !level.empty())
      line.Extract("detected_level", level);
    for (const auto& stage : pipeline.stages) {
      if (!stage->Apply(line)) return true;
    }
    auto more = visit(line);
    if (!more) outcome = std::unexpected(std::move(more).error());
    return more && *more;
  }));
  return outcome;
}

}  // namespace faultline::logql
