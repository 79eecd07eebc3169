#include "aggregator/session.h"

#include <cmath>

#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxLabels = 64;
constexpr size_t kMaxLabelNameBytes = 256;
constexpr size_t kMaxLabelValueBytes = 2048;

bool IsName(std::string_view name, bool colon_allowed) {
  if (name.empty() || name.size() > kMaxLabelNameBytes) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                        (colon_allowed && c == ':');
    if (!letter && !(i > 0 && c >= '0' && c <= '9')) return false;
  }
  return true;
}

Result<Labels> ReadLabels(const google::protobuf::RepeatedPtrField<v1::Label>& from,
                          const std::string& node) {
  if (static_cast<size_t>(from.size()) > kMaxLabels) {
    return Fail(ErrorCode::kCorruption, "{} labels, the limit is {}", from.size(), kMaxLabels);
  }
  Labels labels;
  labels.reserve(static_cast<size_t>(from.size()) + 2);
  for (const v1::Label& label : from) {
    if (!IsName(label.name(), false)) {
      return Fail(ErrorCode::kCorruption, "'{}' is no label name", ReplaceInvalidUtf8(label.name()));
    }
    if (label.name() == "node" || label.name() == "__name__") {
      return Fail(ErrorCode::kCorruption, "label '{}' is reserved", label.name());
    }
    if (label.value().size() > kMaxLabelValueBytes) {
      return Fail(ErrorCode::kCorruption, "value of label '{}' has {} bytes, the limit is {}", label.name(),
                  label.value().size(), kMaxLabelValueBytes);
    }
    if (!label.value().empty()) labels.emplace_back(label.name(), label.value());
  }
  labels.emplace_back("node", node);
  SortLabels(labels);
  for (size_t i = 1; i < labels.size(); ++i) {
    if (labels[i].first == labels[i - 1].first) {
      return Fail(ErrorCode::kCorruption, "label '{}' is there twice", labels[i].first);
    }
  }
  return labels;
}

}  // namespace

Session::Session(std::string node, uint64_t session, SessionDictionary dictionary)
    : committed_sequence(dictionary.committed_sequence),
      queued_sequence(dictionary.committed_sequence),
      node_(std::move(node)),
      session_(session),
      series_(std::move(dictionary.series)),
      streams_(std::move(dictionary.streams)) {}

Result<void> Session::DefineSeries(const v1::SeriesDefinition& definition, Store* store,
                                   const SessionLimits& limits) {
  if (definition.ref() != 0 && definition.ref() <= series_.size()) return {};  // known: a re-send
  if (definition.ref() != series_.size() + 1) {
    return Fail(ErrorCode::kNotFound, "series reference {} follows {}", definition.ref(), series_.size());
  }
  if (!IsName(definition.name(), true)) {
    return Fail(ErrorCode::kCorruption, "'{}' is no metric name", ReplaceInvalidUtf8(definition.name()));
  }
  SeriesId id = 0;
  if (series_.size() < limits.max_series_per_node) {
    FAULTLINE_ASSIGN(Labels labels, ReadLabels(definition.labels(), node_));
    labels.emplace_back("__name__", definition.name());
    SortLabels(labels);
    const auto interned = store->InternSeries(labels, {definition.type(), definition.help()});
    // The store's own limit drops the series, not the batch.
    if (!interned && interned.error().code != ErrorCode::kResourceExhausted) {
      return std::unexpected(interned.error());
    }
    id = interned.value_or(0);
  }
  series_.push_back(id);
  new_series_.emplace_back(definition.ref(), id);
  return {};
}

Result<void> Session::DefineStream(const v1::LogStreamDefinition& definition, Store* store) {
  if (definition.ref() != 0 && definition.ref() <= streams_.size()) return {};
  if (definition.ref() != streams_.size() + 1) {
    return Fail(ErrorCode::kNotFound, "log stream reference {} follows {}", definition.ref(),
                streams_.size());
  }
  FAULTLINE_ASSIGN(const Labels labels, ReadLabels(definition.labels(), node_));
  FAULTLINE_ASSIGN(const StreamId id, store->InternStream(labels));
  streams_.push_back(id);
  new_streams_.emplace_back(definition.ref(), id);
  return {};
}

Result<void> Session::Define(const v1::Definitions& definitions, Store* store,
                             const SessionLimits& limits) {
  for (const auto& definition : definitions.series()) {
    FAULTLINE_TRY(DefineSeries(definition, store, limits));
  }
  for (const auto& definition : definitions.log_streams()) {
    FAULTLINE_TRY(DefineStream(definition, store));
  }
  return {};
}

Result<void> Session::TranslateFrame(const v1::SampleFrame& frame, const SessionLimits& limits,
                                     SessionDrops* drops, AppendBatch* out) const {
  if (frame.ref_deltas_size() != frame.values_size()) {
    return Fail(ErrorCode::kCorruption, "a frame of {} references and {} values", frame.ref_deltas_size(),
                frame.values_size());
  }
  const bool in_range =
      frame.time_unix_ms() >= limits.oldest_ms && frame.time_unix_ms() <= limits.newest_ms;
  int64_t ref = 0;
  for (int i = 0; i < frame.ref_deltas_size(); ++i) {
    ref += frame.ref_deltas(i);
    if (ref < 1 || ref > static_cast<int64_t>(series_.size())) {
      return Fail(ErrorCode::kNotFound, "series reference {} is not defined", ref);
    }
    const SeriesId id = series_[static_cast<size_t>(ref - 1)];
    if (id == 0) {
      ++drops->series_limit;
    } else if (!in_range) {
      ++drops->out_of_range;
    } else {
      out->samples.push_back({id, frame.time_unix_ms(), frame.values(i)});
    }
  }
  return {};
}

Result<AppendBatch> Session::Translate(v1::Batch&& batch, Store* store, const SessionLimits& limits,
                                       SessionDrops* drops) {
  AppendBatch out;
  out.node = node_;
  out.session = session_;
  out.sequence = batch.sequence();
  out.previous_sequence = batch.previous_sequence();
  for (const auto& definition : batch.series()) {
    FAULTLINE_TRY(DefineSeries(definition, store, limits));
  }
  for (const auto& definition : batch.log_streams()) {
    FAULTLINE_TRY(DefineStream(definition, store));
  }
  size_t samples = 0;
  for (const auto& frame : batch.frames()) samples += static_cast<size_t>(frame.values_size());
  out.samples.reserve(samples);
  for (const auto& frame : batch.frames()) {
    FAULTLINE_TRY(TranslateFrame(frame, limits, drops, &out));
  }
  for (v1::LogFrame& frame : *batch.mutable_logs()) {
    if (frame.stream_ref() < 1 || frame.stream_ref() > streams_.size()) {
      return Fail(ErrorCode::kNotFound, "log stream reference {} is not defined", frame.stream_ref());
    }
    if (frame.end_offset() < frame.begin_offset()) {
      return Fail(ErrorCode::kCorruption, "log frame ends at {} before it begins at {}", frame.end_offset(),
                  frame.begin_offset());
    }
    AppendBatch::LogRows rows;
    rows.stream = streams_[frame.stream_ref() - 1];
    rows.file_id = frame.file_id();
    rows.begin_offset = frame.begin_offset();
    rows.end_offset = frame.end_offset();
    rows.records.assign(std::make_move_iterator(frame.mutable_records()->begin()),
                        std::make_move_iterator(frame.mutable_records()->end()));
    out.logs.push_back(std::move(rows));
  }
  out.spans.assign(std::make_move_iterator(batch.mutable_spans()->begin()),
                   std::make_move_iterator(batch.mutable_spans()->end()));
  out.events.assign(std::make_move_iterator(batch.mutable_events()->begin()),
                    std::make_move_iterator(batch.mutable_events()->end()));
  out.faults.assign(batch.faults().begin(), batch.faults().end());
  out.checks.assign(batch.checks().begin(), batch.checks().end());
  out.series_refs = std::exchange(new_series_, {});
  out.stream_refs = std::exchange(new_streams_, {});
  return out;
}

}  // namespace faultline
