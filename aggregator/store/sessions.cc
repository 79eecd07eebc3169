#include "aggregator/store/sessions.h"

#include "aggregator/store/keys.h"

namespace faultline::store {
namespace {

// References of an agent are dense; more in one session than this is damage.
constexpr uint32_t kMaxReference = 1 << 26;

std::string SessionKey(char kind, std::string_view node, uint64_t session) {
  std::string key(1, kind);
  PutText(key, node);
  PutBe64(key, session);
  return key;
}

template <typename Id>
void PutReferences(const std::vector<std::pair<uint32_t, Id>>& references, std::string& out) {
  PutVarint(out, references.size());
  for (const auto& [reference, id] : references) {
    PutVarint(out, reference);
    PutVarint(out, id);
  }
}

bool ReadReferences(ByteReader& in, std::vector<uint64_t>& ids) {
  for (uint64_t left = in.Count(2); left > 0; --left) {
    const uint64_t reference = in.Varint();
    const uint64_t id = in.Varint();
    if (in.failed() || reference == 0 || reference > kMaxReference) return false;
    if (ids.size() < reference) ids.resize(reference);
    ids[reference - 1] = id;
  }
  return !in.failed();
}

}  // namespace

Result<void> SessionTable::Load() {
  auto range = engine_.Prefix(Family::kMeta, std::string(1, kWatermarkKey));
  for (range->SeekToFirst(); range.Valid(); range->Next()) {
    ByteReader key(range.key().substr(1));
    Name name;
    name.first = std::string(key.Text());
    name.second = key.Be64();
    ByteReader value(range.value());
    const uint64_t sequence = value.Varint();
    const int64_t time_unix_ns = value.Signed();
    if (key.failed() || value.failed()) {
      return Fail(ErrorCode::kCorruption, "store: watermark of node '{}' is damaged", name.first);
    }
    durable_[std::move(name)] = {sequence, time_unix_ns};
  }
  return range.status();
}

uint64_t SessionTable::WatermarkOf(const std::string& node, uint64_t session) const {
  const Name name(node, session);
  if (const auto found = staged_.find(name); found != staged_.end()) return found->second.sequence;
  const auto found = durable_.find(name);
  return found == durable_.end() ? 0 : found->second.sequence;
}

SessionTable::Verdict SessionTable::Stage(const AppendBatch& batch, int64_t now_unix_ns,
                                          rocksdb::WriteBatch& write) {
  if (batch.session == 0) return Verdict::kTake;
  const uint64_t watermark = WatermarkOf(batch.node, batch.session);
  if (batch.sequence <= watermark) return Verdict::kDuplicate;
  if (batch.previous_sequence > watermark) return Verdict::kGap;
  staged_[{batch.node, batch.session}] = {batch.sequence, now_unix_ns};
  std::string value;
  PutVarint(value, batch.sequence);
  PutSigned(value, now_unix_ns);
  auto* meta = engine_[Family::kMeta];
  write.Put(meta, SessionKey(kWatermarkKey, batch.node, batch.session), value);
  if (batch.series_refs.empty() && batch.stream_refs.empty()) return Verdict::kTake;
  std::string key = SessionKey(kReferencesKey, batch.node, batch.session);
  PutBe64(key, batch.sequence);
  value.clear();
  PutReferences(batch.series_refs, value);
  PutReferences(batch.stream_refs, value);
  write.Put(meta, key, value);
  return Verdict::kTake;
}

void SessionTable::Publish() {
  for (auto& [name, watermark] : staged_) durable_[name] = watermark;
  staged_.clear();
}

Result<void> SessionTable::Retain(int64_t oldest_unix_ns) {
  rocksdb::WriteBatch batch;
  for (const auto& [name, watermark] : durable_) {
    if (watermark.time_unix_ns >= oldest_unix_ns) continue;
    batch.Delete(engine_[Family::kMeta], SessionKey(kWatermarkKey, name.first, name.second));
    const std::string references = SessionKey(kReferencesKey, name.first, name.second);
    batch.DeleteRange(engine_[Family::kMeta], references, PrefixEnd(references));
  }
  if (batch.Count() == 0) return {};
  FAULTLINE_TRY(engine_.Write(batch, false));
  std::erase_if(durable_,
                [&](const auto& entry) { return entry.second.time_unix_ns < oldest_unix_ns; });
  return {};
}

Result<SessionDictionary> SessionTable::Read(std::string_view node, uint64_t session) const {
  SessionDictionary dictionary;
  const auto watermark = engine_.Get(Family::kMeta, SessionKey(kWatermarkKey, node, session));
  if (!watermark) {
    if (watermark.error().code == ErrorCode::kNotFound) return dictionary;
    return std::unexpected(watermark.error());
  }
  dictionary.committed_sequence = ByteReader(*watermark).Varint();
  auto range = engine_.Prefix(Family::kMeta, SessionKey(kReferencesKey, node, session));
  for (range->SeekToFirst(); range.Valid(); range->Next()) {
    ByteReader in(range.value());
    if (!ReadReferences(in, dictionary.series) || !ReadReferences(in, dictionary.streams)) {
      return Fail(ErrorCode::kCorruption,
                  "store: dictionary of node '{}', session {:016x} is damaged", node, session);
    }
  }
  FAULTLINE_TRY(range.status());
  return dictionary;
}

}  // namespace faultline::store
