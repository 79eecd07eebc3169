#include "agent/pipeline.h"

#include <algorithm>
#include <bit>

#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

const double kStaleMarker = std::bit_cast<double>(uint64_t{0x7ff0000000000002});
constexpr size_t kSampleBytes = 10;  // a delta and a double
constexpr int64_t kForgetAfterNs = 600 * kNsPerSecond;

std::string Repaired(std::string&& text) {
  return IsValidUtf8(text) ? std::move(text) : ReplaceInvalidUtf8(text);
}

// A string of proto3 that is not UTF-8 makes the whole message unreadable, and names of processes can be any bytes.
void RepairStrings(google::protobuf::Message* message) {
  using Field = google::protobuf::FieldDescriptor;
  const auto* reflection = message->GetReflection();
  std::vector<const Field*> fields;
  reflection->ListFields(*message, &fields);
  for (const Field* field : fields) {
    const int size = field->is_repeated() ? reflection->FieldSize(*message, field) : 1;
    for (int i = 0; i < size; ++i) {
      if (field->cpp_type() == Field::CPPTYPE_MESSAGE) {
        RepairStrings(field->is_repeated() ? reflection->MutableRepeatedMessage(message, field, i)
                                           : reflection->MutableMessage(message, field));
      } else if (field->type() == Field::TYPE_STRING) {
        std::string scratch;
        const std::string& text = field->is_repeated()
                                      ? reflection->GetRepeatedStringReference(*message, field, i, &scratch)
                                      : reflection->GetStringReference(*message, field, &scratch);
        if (IsValidUtf8(text)) continue;
        std::string repaired = ReplaceInvalidUtf8(text);
        if (field->is_repeated()) {
          reflection->SetRepeatedString(message, field, i, std::move(repaired));
        } else {
          reflection->SetString(message, field, std::move(repaired));
        }
      }
    }
  }
}

// All text that spans of probes have, looked at without reflection: there are thousands a second.
bool IsPlainAndValid(const v1::Span& span) {
  const auto valid = [](const auto&... texts) { return (IsValidUtf8(texts) && ...); };
  const v1::Subject& subject = span.subject();
  return span.resource().empty() && span.events().empty() && span.links().empty() && span.trace_state().empty() &&
         span.scope_name().empty() && span.scope_version().empty() &&
         valid(span.service(), span.name(), span.status_message(), subject.namespace_(), subject.pod(),
               subject.container(), subject.container_id(), subject.cgroup(), subject.comm()) &&
         std::ranges::all_of(span.attributes(), [&](const v1::Attribute& attribute) {
           return valid(attribute.name(), attribute.value());
         });
}

LogRoom RoomOf(const LogChunk& chunk) {
  if (chunk.at_risk) return LogRoom::kAtRisk;
  size_t bytes = 0;
  for (const LogChunk::Record& record : chunk.records) bytes += record.body.size();
  return bytes <= kShortChunkBytes ? LogRoom::kShort : LogRoom::kBulk;
}

}  // namespace

class Pipeline::LeafEmitter final : public Emitter {
 public:
  LeafEmitter(Pipeline* pipeline, std::string leaf_name, uint32_t leaf_index)
      : name(std::move(leaf_name)), leaf(leaf_index), pipeline_(pipeline) {}
  using Emitter::Sample;
  using Emitter::SampleOf;

  void Sample(const MetricFamily& family, LabelViews labels, double value) override {
    pipeline_->AddSample(*this, family, labels, {}, value);
  }
  void SampleOf(const Origin& origin, const MetricFamily& family, LabelViews labels,
                double value) override {
    pipeline_->AddSampleOf(*this, origin, family, labels, value);
  }
  bool Logs(LogChunk&& chunk) override { return pipeline_->AddLogs(*this, std::move(chunk)); }
  void Event(v1::Event&& event, const Origin& origin) override {
    if (event.time_unix_ns() == 0) event.set_time_unix_ns(pipeline_->clock_->UnixNs());
    pipeline_->Complete(event.mutable_subject(), origin);
    RepairStrings(&event);
    *pipeline_->prompt_.batch.add_events() = std::move(event);
    pipeline_->Added(256, 1, in_pass);
  }
  void Span(v1::Span&& span, const Origin& origin) override {
    pipeline_->Complete(span.mutable_subject(), origin);
    if (!IsPlainAndValid(span)) RepairStrings(&span);
    *pipeline_->prompt_.batch.add_spans() = std::move(span);
    pipeline_->Added(256, 1, in_pass);
  }
  void Fault(v1::FaultTransition&& transition) override {
    RepairStrings(&transition);
    *pipeline_->prompt_.batch.add_faults() = std::move(transition);
    pipeline_->Added(256, 1, false);
    // Ground truth does not wait for anything.
    pipeline_->Flush();
  }
  void Inventory(v1::Inventory&& inventory) override {
    if (pipeline_->prompt_.batch.has_inventory()) pipeline_->Flush();
    RepairStrings(&inventory);
    const size_t bytes = inventory.ByteSizeLong();
    *pipeline_->prompt_.batch.mutable_inventory() = std::move(inventory);
    pipeline_->Added(bytes, 1, in_pass);
  }
  void Check(v1::CheckResult&& result, bool urgent) override {
    if (result.started_unix_ns() == 0) result.set_started_unix_ns(pipeline_->clock_->UnixNs());
    RepairStrings(&result);
    const size_t bytes = result.ByteSizeLong();
    *pipeline_->prompt_.batch.add_checks() = std::move(result);
    pipeline_->Added(bytes, 1, !urgent);
  }
  void Dropped(std::string_view reason, uint64_t count) override {
    pipeline_->Drop(name, reason, count);
  }

  const std::string name;
  const uint32_t leaf;
  int64_t pass_unix_ms = 0;
  uint64_t pass = 0;
  bool in_pass = false;
  bool changes_only = false;

 private:
  Pipeline* const pipeline_;
};

Pipeline::Pipeline(PipelineOptions options, const Clock* clock, BatchSink* sink,
                   ContainerIndex* containers)
    : options_(std::move(options)),
      clock_(clock),
      sink_(sink),
      containers_(containers),
      table_(options_.max_series, options_.seed) {}

Pipeline::~Pipeline() = default;

Emitter& Pipeline::Leaf(const std::string& name) {
  for (const auto& leaf : leaves_) {
    if (leaf->name == name) return *leaf;
  }
  return *leaves_.emplace_back(std::make_unique<LeafEmitter>(this, name, table_.AddLeaf()));
}

void Pipeline::BeginPass(Emitter& leaf, int64_t unix_ns, Pass pass) {
  auto& emitter = static_cast<LeafEmitter&>(leaf);
  emitter.pass_unix_ms = unix_ns / kNsPerMs;
  emitter.in_pass = true;
  emitter.changes_only = pass == Pass::kChanges;
  ++emitter.pass;
}

void Pipeline::EndPass(Emitter& leaf, bool complete) {
  auto& emitter = static_cast<LeafEmitter&>(leaf);
  emitter.in_pass = false;
  if (!complete) return;
  table_.EndPass(emitter.leaf, emitter.pass, clock_->SteadyNs(), [&](uint32_t ref) {
    AddValue(emitter.pass_unix_ms, ref, kStaleMarker);
    Added(kSampleBytes, 1, true);
  });
}

void Pipeline::AddSample(LeafEmitter& leaf, const MetricFamily& family, LabelViews labels,
                         LabelViews attribution, double value) {
  const auto seen =
      table_.Update(leaf.leaf, leaf.pass, family, labels, attribution, value, &definition_);
  size_t bytes = kSampleBytes;
  switch (seen.outcome) {
    case SeriesTable::Outcome::kKnown: break;
    case SeriesTable::Outcome::kNew:
      bytes += definition_.ByteSizeLong();
      *prompt_.batch.add_series() = definition_;
      break;
    case SeriesTable::Outcome::kDuplicate: return Drop(leaf.name, "duplicate_series", 1);
    case SeriesTable::Outcome::kFull: return Drop(leaf.name, "max_series", 1);
    case SeriesTable::Outcome::kInvalid:
      if (LogAllowed("invalid series " + leaf.name)) {
        spdlog::warn("{}: series '{}' has an invalid or repeated name", leaf.name, family.name);
      }
      return Drop(leaf.name, "invalid_name", 1);
  }
  if (leaf.changes_only && !seen.changed) return;
  AddValue(leaf.pass_unix_ms, seen.ref, value);
  Added(bytes, 1, leaf.in_pass);
}

void Pipeline::AddSampleOf(LeafEmitter& leaf, const Origin& origin, const MetricFamily& family,
                           LabelViews labels, double value) {
  if (origin.empty()) return AddSample(leaf, family, labels, {}, value);
  const uint64_t misses = containers_ == nullptr ? 0 : containers_->misses();
  const ContainerIdentity* who = containers_ == nullptr ? nullptr : containers_->Resolve(origin);
  std::string_view id = who == nullptr ? origin.cgroup_path : std::string_view(who->cgroup_path);
  if (who == nullptr) {
    // The index knows the root cgroup as the node itself: neither a container nor a miss.
    const bool is_node = containers_ != nullptr && containers_->misses() == misses;
    if (!is_node) ++unattributed_;
    if (is_node && origin.pid == 0) id = "/";
    if (!is_node && id.empty() && origin.pid == 0) {
      // A cgroup without a name would be taken for the node, or for another one that has no name either.
      return Drop(leaf.name, "unattributed", 1);
    }
  }
  const LabelView attribution[] = {
      {"namespace", who == nullptr ? std::string_view() : who->name_space},
      {"pod", who == nullptr ? std::string_view() : who->pod},
      {"container", who == nullptr ? std::string_view() : who->container},
      {"id", id}};
  AddSample(leaf, family, labels, attribution, value);
}

void Pipeline::AddValue(int64_t unix_ms, uint32_t ref, double value) {
  if (frame_ == nullptr || frame_->time_unix_ms() != unix_ms) {
    frame_ = prompt_.batch.add_frames();
    frame_->set_time_unix_ms(unix_ms);
    frame_ref_ = 0;
  }
  frame_->add_ref_deltas(static_cast<int32_t>(ref - frame_ref_));
  frame_->add_values(value);
  frame_ref_ = ref;
}

bool Pipeline::AddLogs(LeafEmitter& leaf, LogChunk&& chunk) {
  Open& open = chunk.file_id != 0 && chunk.at_risk ? backlog_ : prompt_;
  if (!chunk.continues) {
    // Between slices, so that what is stored of a file and how far it was read are stored together. Both lanes count: the
    // sink says whether there is room for one batch, not for two.
    if (prompt_.bytes + backlog_.bytes >= options_.max_batch_bytes) Flush();
    if (chunk.file_id != 0 && (put_failed_ || sink_->Congested(RoomOf(chunk)))) return false;
    if (open.streams.size() >= options_.max_log_streams) StartSession();
  }
  const uint64_t count = chunk.records.size();
  if (count == 0 && chunk.file_id == 0) return true;
  const int64_t now_ns = clock_->UnixNs();
  const uint32_t stream = StreamRef(open, chunk);
  v1::LogFrame* frame = open.batch.add_logs();
  frame->set_stream_ref(stream);
  frame->set_file_id(chunk.file_id);
  frame->set_begin_offset(chunk.begin_offset);
  frame->set_end_offset(chunk.end_offset);
  size_t bytes = 32;
  for (LogChunk::Record& record : chunk.records) {
    v1::LogRecord* out = frame->add_records();
    out->set_time_unix_ns(record.time_unix_ns == 0 ? now_ns : record.time_unix_ns);
    out->set_observed_unix_ns(now_ns);
    out->set_severity(record.severity);
    out->set_offset(record.offset);
    bytes += 24 + record.body.size();
    out->set_body(Repaired(std::move(record.body)));
    for (auto& [name, value] : record.attributes) {
      bytes += name.size() + value.size() + 4;
      v1::Label* attribute = out->add_attributes();
      attribute->set_name(Repaired(std::move(name)));
      attribute->set_value(Repaired(std::move(value)));
    }
  }
  Count(open, bytes, count);
  if (!leaf.in_pass) FlushSoon();
  return true;
}

uint32_t Pipeline::StreamRef(Open& open, const LogChunk& chunk) {
  std::string key;
  for (const auto& [name, value] : chunk.stream_labels) {
    key += std::to_string(name.size()) + ',' + std::to_string(value.size()) + ',' + name + value;
  }
  const auto [at, is_new] = open.streams.try_emplace(std::move(key), open.streams.size() + 1);
  if (is_new) {
    v1::LogStreamDefinition* definition = open.batch.add_log_streams();
    definition->set_ref(at->second);
    for (const auto& [name, value] : chunk.stream_labels) {
      v1::Label* label = definition->add_labels();
      label->set_name(ReplaceInvalidUtf8(name));
      label->set_value(ReplaceInvalidUtf8(value));
    }
    open.bytes += definition->ByteSizeLong();
  }
  return at->second;
}

void Pipeline::Complete(v1::Subject* subject, const Origin& origin) {
  if (origin.pid != 0 && subject->pid() == 0) subject->set_pid(origin.pid);
  if (subject->cgroup().empty()) subject->set_cgroup(std::string(origin.cgroup_path));
  if (origin.empty() || containers_ == nullptr) return;
  const uint64_t misses = containers_->misses();
  const ContainerIdentity* who = containers_->Resolve(origin);
  if (who == nullptr) {
    unattributed_ += containers_->misses() - misses;
    return;
  }
  subject->set_namespace_(who->name_space);
  subject->set_pod(who->pod);
  subject->set_container(who->container);
  subject->set_container_id(who->container_id);
  if (subject->cgroup().empty()) subject->set_cgroup(who->cgroup_path);
}

void Pipeline::Count(Open& open, size_t bytes, uint64_t records) {
  produced_ += records;
  open.records += records;
  open.bytes += bytes;
}

void Pipeline::Added(size_t bytes, uint64_t records, bool in_pass) {
  Count(prompt_, bytes, records);
  if (prompt_.bytes >= options_.max_batch_bytes) return Flush();
  if (!in_pass) FlushSoon();
}

Result<void> Pipeline::Forward(const std::string& leaf, v1::OtlpRequest&& request, uint64_t records) {
  if (sink_->Congested(LogRoom::kShort)) {
    return Fail(ErrorCode::kUnavailable, "the spool is full: {} is not taken until the aggregator is back", leaf);
  }
  v1::Batch batch;
  batch.set_created_unix_ns(clock_->UnixNs());
  *batch.add_otlp() = std::move(request);
  FAULTLINE_TRY(sink_->Put(batch, records));
  produced_ += records;
  return {};
}

void Pipeline::FlushSoon() {
  if (prompt_.bytes + backlog_.bytes == 0 || flush_wanted_) return;
  flush_wanted_ = true;
  if (options_.want_flush) options_.want_flush();
}

void Pipeline::Drop(const std::string& leaf, std::string_view reason, uint64_t count) {
  produced_ += count;
  dropped_[{leaf, std::string(reason)}] += count;
}

void Pipeline::Flush() {
  frame_ = nullptr;
  flush_wanted_ = false;
  // In this order: what is in the backlog goes on where the prompt batch ends.
  auto put = PutOpen(Lane::kPrompt, prompt_);
  if (!put) KeepForRetry();
  if (put) put = PutOpen(Lane::kBacklog, backlog_);
  put_failed_ = !put;
  if (!put && LogAllowed("pipeline put")) spdlog::error("a batch cannot be kept: {}", put.error().message);
}

Result<void> Pipeline::PutOpen(Lane lane, Open& open) {
  if (open.bytes == 0) return {};
  open.batch.set_created_unix_ns(clock_->UnixNs());
  FAULTLINE_TRY(sink_->Put(lane, open.batch, open.records));
  open.batch.Clear();
  open.bytes = open.records = 0;
  return {};
}

// What can be had again next second is let go. Log lines are not: their readers have moved on, and are told to wait. Nor is
// ground truth, nor the definitions that later batches refer to.
void Pipeline::KeepForRetry() {
  constexpr int kMaxKeptFaults = 1000;
  v1::Batch& batch = prompt_.batch;
  if (batch.faults_size() > kMaxKeptFaults) batch.clear_faults();
  for (int i = batch.logs_size(); i-- > 0;) {
    // Not from a file: nothing keeps these from growing.
    if (batch.logs(i).file_id() == 0) batch.mutable_logs()->DeleteSubrange(i, 1);
  }
  batch.clear_frames();
  batch.clear_spans();
  batch.clear_events();
  batch.clear_checks();
  batch.clear_inventory();
  auto kept = static_cast<uint64_t>(batch.faults_size());
  for (const v1::LogFrame& frame : batch.logs()) kept += static_cast<uint64_t>(frame.records_size());
  dropped_[{"pipeline", "spool_error"}] += prompt_.records - kept;  // counted as produced when they came
  prompt_.records = kept;
  prompt_.bytes = batch.logs_size() + batch.faults_size() > 0 ? 1 : 0;  // the next flush tries again
}

void Pipeline::Tidy() {
  table_.Forget(clock_->SteadyNs() - kForgetAfterNs);
  if (table_.last_ref() > options_.max_session_refs) StartSession();
}

void Pipeline::StartSession() {
  Flush();
  if (put_failed_) return;
  prompt_.batch.Clear();
  const auto started = sink_->StartSession();
  if (!started) {
    if (LogAllowed("pipeline session")) spdlog::error("new session: {}", started.error().message);
    return;
  }
  prompt_.streams.clear();
  backlog_.streams.clear();
  table_.Renumber([this](const v1::SeriesDefinition& definition) {
    *prompt_.batch.add_series() = definition;
    prompt_.bytes += definition.ByteSizeLong();
  });
}

}  // namespace faultline
