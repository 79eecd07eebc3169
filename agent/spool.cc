#include "agent/spool.h"

#include <algorithm>
#include <deque>

#include "agent/log_window.h"
#include "agent/spool_database.h"
#include "agent/spool_positions.h"
#include "agent/spool_sessions.h"
#include "common/transport.h"

namespace faultline {
namespace {

constexpr uint64_t kMaxMemoryBytes = uint64_t{16} << 20;  // of a spool that is not on disk

rocksdb::Slice AsSlice(const SpoolHead& head) { return {reinterpret_cast<const char*>(&head), sizeof head}; }

// What cannot be had again: lines of files, and what exporters were told is taken.
bool HasLogs(const v1::Batch& batch) {
  return batch.otlp_size() > 0 ||
         std::ranges::any_of(batch.logs(), [](const v1::LogFrame& frame) { return frame.file_id() != 0; });
}

}  // namespace

struct Spool::Impl {
  SpoolOptions options;
  std::unique_ptr<SpoolDatabase> db;
  std::unique_ptr<SpoolPositions> positions;
  std::unique_ptr<SpoolSessions> sessions;
  LogWindow window{0};
  // Batches of the current prompt session that are on the road, and since when (steady).
  std::deque<std::pair<uint64_t, int64_t>> road;
  mutable Counters counters;
  std::function<void()> on_put;

  // How much may be on the road, in both lanes.
  uint64_t RoadBytes() const { return options.clock != nullptr ? window.bytes() : options.log_window_bytes; }
  void Arrived(uint64_t sequence);
};

Spool::Spool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Spool::~Spool() = default;

Result<std::unique_ptr<Spool>> Spool::Open(const SpoolOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  if (options.folder.empty()) impl->options.max_bytes = std::min(options.max_bytes, kMaxMemoryBytes);
  impl->window = LogWindow(options.log_window_bytes);
  FAULTLINE_ASSIGN(impl->db, SpoolDatabase::Open(options.folder));
  impl->positions = std::make_unique<SpoolPositions>(impl->db.get());
  impl->sessions = std::make_unique<SpoolSessions>(impl->db.get());
  FAULTLINE_TRY(impl->sessions->Load());
  impl->counters.recovered_records = impl->sessions->sums().records;
  FAULTLINE_TRY(impl->sessions->Start());
  return std::unique_ptr<Spool>(new Spool(std::move(impl)));
}

Result<void> Spool::StartSession() {
  FAULTLINE_TRY(impl_->sessions->Start());
  impl_->road.clear();
  return {};
}

Result<void> Spool::Put(Lane lane, v1::Batch& batch, uint64_t records) {
  Impl& impl = *impl_;
  const uint32_t ordinal = impl.sessions->current(lane);
  const SpoolSessions::Session& session = impl.sessions->at(ordinal);
  const uint64_t sequence = session.last + 1;
  batch.set_session(session.id);
  batch.set_sequence(sequence);
  batch.set_previous_sequence(session.last);
  const std::string payload = Compress(batch.SerializeAsString());
  FAULTLINE_TRY(impl.db->CheckSpace(SpoolDatabase::kPutReserveBytes));
  FAULTLINE_TRY(impl.sessions->MakeRoom(payload.size(), impl.options.max_bytes));

  SpoolHead head{.records = static_cast<uint32_t>(records),
                 .bytes_and_kind = static_cast<uint32_t>(payload.size()) | (HasLogs(batch) ? SpoolHead::kLogs : 0),
                 .series_before = session.series,
                 .series_after = session.series,
                 .streams_before = session.streams,
                 .streams_after = session.streams};
  rocksdb::WriteBatch writes;
  for (const v1::SeriesDefinition& definition : batch.series()) {
    writes.Put(SpoolKey('s', ordinal, definition.ref()), definition.SerializeAsString());
    head.series_after = std::max(head.series_after, definition.ref());
  }
  for (const v1::LogStreamDefinition& definition : batch.log_streams()) {
    writes.Put(SpoolKey('l', ordinal, definition.ref()), definition.SerializeAsString());
    head.streams_after = std::max(head.streams_after, definition.ref());
  }
  std::optional<SpoolPositions::Place> place;
  if (lane == Lane::kBacklog) place = {.ordinal = ordinal, .sequence = sequence};
  for (const v1::LogFrame& frame : batch.logs()) {
    if (frame.file_id() != 0) impl.positions->Stage(frame.file_id(), frame.end_offset(), place, writes);
  }
  writes.Put(SpoolKey('b', ordinal, sequence), payload);
  writes.Put(SpoolKey('h', ordinal, sequence), AsSlice(head));
  FAULTLINE_TRY(impl.db->Write(&writes, "write a batch"));

  impl.sessions->Added(ordinal, head);
  impl.counters.appended_records += records;
  if (lane == Lane::kPrompt && impl.options.clock != nullptr) {
    impl.road.emplace_back(sequence, impl.options.clock->SteadyNs());
  }
  if (impl.on_put) impl.on_put();
  return {};
}

bool Spool::Congested(LogRoom room) const {
  const SpoolOptions& options = impl_->options;
  const SpoolSessions::Sums& sums = impl_->sessions->sums();
  if (sums.log_bytes > options.max_bytes / 2) return true;
  if (room == LogRoom::kAtRisk) return false;
  const uint64_t prompt_bytes = sums.log_bytes - sums.backlog_bytes;
  if (prompt_bytes > options.log_window_bytes) return true;
  if (room == LogRoom::kShort) return false;
  // The backlog has half of the road.
  if (prompt_bytes <= impl_->RoadBytes() / (sums.backlog_bytes > 0 ? 2 : 1)) return false;
  impl_->window.Held();
  return true;
}

bool Spool::BacklogMayGo(uint64_t on_road_bytes) const {
  if (on_road_bytes <= impl_->RoadBytes() / 2) return true;
  impl_->window.Held();
  return false;
}

bool Spool::InBacklog(uint64_t file_id) const {
  if (impl_->sessions->sums().backlog_bytes == 0) return false;
  const auto place = impl_->positions->PlaceOf(file_id);
  return place && impl_->sessions->Holds(place->ordinal, place->sequence);
}

void Spool::OnPut(std::function<void()> call) { impl_->on_put = std::move(call); }

uint64_t Spool::session() const { return impl_->sessions->at(impl_->sessions->current(Lane::kPrompt)).id; }

std::vector<uint64_t> Spool::Sessions(Lane lane) const { return impl_->sessions->Of(lane); }

Result<std::optional<Spool::SpooledBatch>> Spool::Read(uint64_t session, uint64_t sequence) const {
  const auto ordinal = impl_->sessions->Find(session);
  if (!ordinal) return std::optional<SpooledBatch>();
  const uint64_t last = impl_->sessions->at(*ordinal).last;
  uint64_t number = std::max(sequence, impl_->sessions->at(*ordinal).first);
  std::optional<SpoolHead> head;
  for (; number <= last; ++number) {
    head = impl_->sessions->ReadHead(*ordinal, number);
    if (head) break;
  }
  if (!head || impl_->sessions->MustWait(*ordinal, number)) return std::optional<SpooledBatch>();
  rocksdb::PinnableSlice payload;
  if (!impl_->db->Get(SpoolKey('b', *ordinal, number), &payload)) {
    return Fail(ErrorCode::kCorruption, "spool: batch {} cannot be read", number);
  }
  return SpooledBatch{.session = session,
                      .sequence = number,
                      .records = head->records,
                      .series_before = head->series_before,
                      .series_after = head->series_after,
                      .streams_before = head->streams_before,
                      .streams_after = head->streams_after,
                      .payload = payload.ToString()};
}

Result<void> Spool::Acknowledge(uint64_t session, uint64_t sequence) {
  const auto ordinal = impl_->sessions->Find(session);
  if (!ordinal) return {};
  const bool is_prompt = *ordinal == impl_->sessions->current(Lane::kPrompt);
  FAULTLINE_ASSIGN(const uint64_t gone, impl_->sessions->Remove(*ordinal, sequence));
  impl_->counters.delivered_records += gone;
  if (is_prompt) impl_->Arrived(sequence);
  return {};
}

void Spool::Impl::Arrived(uint64_t sequence) {
  if (road.empty() || road.front().first > sequence) return;
  const int64_t now = options.clock->SteadyNs();
  window.Acknowledged(now - road.front().second, now);
  while (!road.empty() && road.front().first <= sequence) road.pop_front();
}

Result<void> Spool::Discard(uint64_t session, uint64_t sequence) {
  const auto ordinal = impl_->sessions->Find(session);
  return ordinal ? impl_->sessions->Drop(*ordinal, sequence) : Result<void>();
}

uint64_t Spool::LastSequence(uint64_t session) const {
  const auto ordinal = impl_->sessions->Find(session);
  return ordinal ? impl_->sessions->at(*ordinal).last : 0;
}

Result<v1::Definitions> Spool::ReadDefinitions(uint64_t session, uint32_t first_series,
                                               uint32_t last_series, uint32_t first_stream,
                                               uint32_t last_stream) const {
  v1::Definitions definitions;
  definitions.set_session(session);
  const auto ordinal = impl_->sessions->Find(session);
  if (!ordinal) return definitions;
  const auto read = [&](char kind, uint32_t ref, auto* definition) -> Result<void> {
    rocksdb::PinnableSlice value;
    if (impl_->db->Get(SpoolKey(kind, *ordinal, ref), &value) &&
        definition->ParseFromArray(value.data(), static_cast<int>(value.size()))) {
      return {};
    }
    return Fail(ErrorCode::kCorruption, "spool: definition {}{} cannot be read", kind, ref);
  };
  for (uint32_t ref = first_series; ref <= last_series; ++ref) {
    FAULTLINE_TRY(read('s', ref, definitions.add_series()));
  }
  for (uint32_t ref = first_stream; ref <= last_stream; ++ref) {
    FAULTLINE_TRY(read('l', ref, definitions.add_log_streams()));
  }
  return definitions;
}

uint64_t Spool::LogPosition(uint64_t file_id) const { return impl_->positions->Find(file_id); }
Result<void> Spool::SkipLog(uint64_t file_id, uint64_t position) { return impl_->positions->Skip(file_id, position); }
Result<void> Spool::ForgetLog(uint64_t file_id) { return impl_->positions->Forget(file_id); }
Result<void> Spool::NoteUnreadLogs(const std::vector<UnreadLog>& logs) { return impl_->positions->NoteUnread(logs); }
std::vector<UnreadLog> Spool::UnreadLogs() const { return impl_->positions->Unread(); }
bool Spool::IsKnownLog(uint64_t file_id) const { return LogPosition(file_id) > 0 || impl_->positions->IsNoted(file_id); }
Result<uint64_t> Spool::ForgetUnusedLogs() { return impl_->positions->ForgetUnused(); }

uint64_t Spool::bytes() const { return impl_->sessions->sums().bytes; }
uint64_t Spool::log_bytes() const { return impl_->sessions->sums().log_bytes; }
uint64_t Spool::batches() const { return impl_->sessions->sums().batches; }
uint64_t Spool::records() const { return impl_->sessions->sums().records; }

const Spool::Counters& Spool::counters() const {
  impl_->counters.dropped_records = impl_->sessions->sums().dropped_records;
  impl_->counters.dropped_batches = impl_->sessions->sums().dropped_batches;
  return impl_->counters;
}

}  // namespace faultline
