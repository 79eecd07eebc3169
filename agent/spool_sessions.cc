#include "agent/spool_sessions.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "common/log.h"

namespace faultline {
namespace {

constexpr char kBacklogMark = 'b';

static_assert(std::endian::native == std::endian::little, "values are written as they are");

std::string SessionKey(uint32_t ordinal) {
  std::string key(1, 'e');
  AppendBig(key, ordinal);
  return key;
}

std::optional<SpoolHead> AsHead(const rocksdb::Slice& value) {
  if (value.size() != sizeof(SpoolHead)) return std::nullopt;
  SpoolHead head;
  std::memcpy(&head, value.data(), sizeof head);
  return head;
}

}  // namespace

Result<void> SpoolSessions::Load() {
  const auto at = db_->Scan();
  for (at->Seek("e"); at->Valid() && at->key().size() == 5 && at->key()[0] == 'e'; at->Next()) {
    const uint32_t number = ReadBig<uint32_t>(at->key().ToStringView(), 1);
    Session session;
    prompt_ = number;
    if (at->value().size() < sizeof session.id) continue;
    std::memcpy(&session.id, at->value().data(), sizeof session.id);
    if (at->value().size() > sizeof session.id) session.lane = Lane::kBacklog;
    sessions_[number] = session;
  }
  for (at->Seek("h"); at->Valid() && at->key().size() == 13 && at->key()[0] == 'h'; at->Next()) {
    const auto found = sessions_.find(ReadBig<uint32_t>(at->key().ToStringView(), 1));
    const auto head = AsHead(at->value());
    if (found == sessions_.end() || !head) continue;
    Session& session = found->second;
    const uint64_t sequence = ReadBig<uint64_t>(at->key().ToStringView(), 5);
    if (session.batches++ == 0) session.first = sequence;
    session.last = sequence;
    Account(session, *head, 1);
  }
  FAULTLINE_TRY(CheckStatus(at->status(), "read what is there"));
  for (auto session = sessions_.begin(); session != sessions_.end();) {
    const auto next = std::next(session);
    if (session->second.batches == 0) Forget(session->first);
    session = next;
  }
  return {};
}

Result<void> SpoolSessions::Start() {
  const uint32_t before[] = {prompt_, backlog_};
  FAULTLINE_ASSIGN(const uint32_t backlog, Start(Lane::kBacklog));
  FAULTLINE_ASSIGN(prompt_, Start(Lane::kPrompt));
  backlog_ = backlog;
  follows_.clear();
  for (const uint32_t ordinal : before) ForgetIfOver(ordinal);
  return {};
}

Result<uint32_t> SpoolSessions::Start(Lane lane) {
  uint64_t id = 0;
  while (id == 0) id = random_();
  const uint32_t next = (sessions_.empty() ? prompt_ : std::max(prompt_, sessions_.rbegin()->first)) + 1;
  std::string value(reinterpret_cast<const char*>(&id), sizeof id);
  if (lane == Lane::kBacklog) value += kBacklogMark;
  rocksdb::WriteBatch writes;
  writes.Put(SessionKey(next), value);
  FAULTLINE_TRY(db_->Write(&writes, "start a session"));
  Session& session = sessions_[next];
  session.id = id;
  session.lane = lane;
  return next;
}

bool SpoolSessions::Holds(uint32_t ordinal, uint64_t sequence) const {
  const auto session = sessions_.find(ordinal);
  return session != sessions_.end() && session->second.batches > 0 && session->second.first <= sequence;
}

std::optional<uint32_t> SpoolSessions::Find(uint64_t id) const {
  // Newest first: that is nearly always the one.
  for (auto at = sessions_.rbegin(); at != sessions_.rend(); ++at) {
    if (at->second.id == id) return at->first;
  }
  return std::nullopt;
}

std::vector<uint64_t> SpoolSessions::Of(Lane lane) const {
  std::vector<uint64_t> ids;
  for (const auto& [ordinal, session] : sessions_) {
    if (session.lane == lane && (session.batches > 0 || IsCurrent(ordinal))) ids.push_back(session.id);
  }
  return ids;
}

void SpoolSessions::Added(uint32_t ordinal, const SpoolHead& head) {
  Session& session = sessions_.at(ordinal);
  ++session.last;
  ++session.batches;
  session.series = head.series_after;
  session.streams = head.streams_after;
  Account(session, head, 1);
  if (ordinal == backlog_) follows_.emplace_back(session.last, sessions_.at(prompt_).last);
}

bool SpoolSessions::MustWait(uint32_t ordinal, uint64_t sequence) const {
  if (sessions_.at(ordinal).lane != Lane::kBacklog) return false;
  for (const auto& [other, session] : sessions_) {
    if (other > ordinal + 1) break;
    if (session.lane != Lane::kPrompt || session.batches == 0) continue;
    if (other != prompt_) return true;
    const auto follow = std::ranges::lower_bound(follows_, sequence, {}, [](const auto& one) { return one.first; });
    if (follow != follows_.end() && session.first <= follow->second) return true;
  }
  return false;
}

std::optional<SpoolHead> SpoolSessions::ReadHead(uint32_t ordinal, uint64_t sequence) const {
  rocksdb::PinnableSlice value;
  return db_->Get(SpoolKey('h', ordinal, sequence), &value) ? AsHead(value) : std::nullopt;
}

Result<uint64_t> SpoolSessions::Remove(uint32_t ordinal, uint64_t up_to) {
  Session& session = sessions_.at(ordinal);
  std::vector<SpoolHead> gone;
  rocksdb::WriteBatch writes;
  const uint64_t end = std::min(up_to, session.last);
  for (uint64_t sequence = session.first; sequence <= end; ++sequence) {
    const auto head = ReadHead(ordinal, sequence);
    if (!head) continue;
    gone.push_back(*head);
    writes.Delete(SpoolKey('h', ordinal, sequence));
    writes.Delete(SpoolKey('b', ordinal, sequence));
  }
  if (!gone.empty()) FAULTLINE_TRY(db_->Write(&writes, "remove batches"));
  session.first = std::max(session.first, end + 1);
  session.batches -= gone.size();
  while (ordinal == backlog_ && !follows_.empty() && follows_.front().first <= end) follows_.pop_front();
  uint64_t gone_records = 0;
  for (const SpoolHead& head : gone) {
    Account(session, head, -1);
    gone_records += head.records;
  }
  ForgetIfOver(ordinal);
  return gone_records;
}

Result<void> SpoolSessions::Drop(uint32_t ordinal, uint64_t sequence) {
  const auto head = ReadHead(ordinal, sequence);
  if (!head) return {};
  rocksdb::WriteBatch writes;
  writes.Delete(SpoolKey('h', ordinal, sequence));
  writes.Delete(SpoolKey('b', ordinal, sequence));
  FAULTLINE_TRY(db_->Write(&writes, "drop a batch"));
  Session& session = sessions_.at(ordinal);
  --session.batches;
  if (session.first == sequence) ++session.first;
  Account(session, *head, -1);
  sums_.dropped_records += head->records;
  ++sums_.dropped_batches;
  ForgetIfOver(ordinal);
  return {};
}

void SpoolSessions::Forget(uint32_t ordinal) {
  rocksdb::WriteBatch writes;
  writes.Delete(SessionKey(ordinal));
  for (const char kind : {'s', 'l'}) {
    writes.DeleteRange(SpoolKey<uint32_t>(kind, ordinal, 0), SpoolKey<uint32_t>(kind, ordinal + 1, 0));
  }
  if (const auto written = db_->Write(&writes, "forget a session"); !written) {
    spdlog::warn("{}", written.error().message);
  }
  sessions_.erase(ordinal);
}

void SpoolSessions::ForgetIfOver(uint32_t ordinal) {
  const auto session = sessions_.find(ordinal);
  if (session != sessions_.end() && session->second.batches == 0 && !IsCurrent(ordinal)) Forget(ordinal);
}

void SpoolSessions::Account(const Session& session, const SpoolHead& head, int sign) {
  const auto add = [sign](uint64_t& sum, uint64_t amount) { sum = sign > 0 ? sum + amount : sum - amount; };
  add(sums_.bytes, head.bytes());
  add(sums_.log_bytes, head.has_logs() ? head.bytes() : 0);
  add(sums_.backlog_bytes, session.lane == Lane::kBacklog ? head.bytes() : 0);
  add(sums_.records, head.records);
  add(sums_.batches, 1);
}

// The oldest batch without logs, or else the oldest of all.
std::optional<std::pair<uint32_t, uint64_t>> SpoolSessions::Expendable() {
  for (auto at = sessions_.lower_bound(room_cursor_.first); at != sessions_.end(); ++at) {
    uint64_t sequence = at->second.first;
    if (at->first == room_cursor_.first) sequence = std::max(sequence, room_cursor_.second);
    for (; at->second.batches > 0 && sequence <= at->second.last; ++sequence) {
      room_cursor_ = {at->first, sequence};
      const auto head = ReadHead(at->first, sequence);
      if (head && !head->has_logs()) return room_cursor_;
    }
    room_cursor_ = {at->first, at->second.last + 1};
  }
  for (const auto& [ordinal, session] : sessions_) {
    for (uint64_t sequence = session.first; session.batches > 0 && sequence <= session.last; ++sequence) {
      if (ReadHead(ordinal, sequence)) return std::pair(ordinal, sequence);
    }
  }
  return std::nullopt;
}

Result<void> SpoolSessions::MakeRoom(uint64_t wanted, uint64_t max_bytes) {
  while (sums_.batches > 0 && sums_.bytes + wanted > max_bytes) {
    const auto victim = Expendable();
    if (!victim) return {};
    FAULTLINE_TRY(Drop(victim->first, victim->second));
  }
  return {};
}

}  // namespace faultline
