#include "aggregator/store/heads.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "aggregator/store/chunk.h"
#include "common/assert.h"

namespace faultline::store {
namespace {

constexpr size_t kMaxLateSamples = 60;
constexpr size_t kAhead = 6;  // rows between fetching memory and using it

bool SameBits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

}  // namespace

HeadTable::HeadTable(int64_t out_of_order_ms)
    : out_of_order_ms_(out_of_order_ms), blocks_(new std::atomic<Head*>[kBlocks]()) {}

HeadTable::~HeadTable() {
  for (size_t block = 0; block < kBlocks; ++block) {
    Head* heads = blocks_[block].load();
    if (heads == nullptr) continue;
    for (uint32_t i = 0; i < kHeadsPerBlock; ++i) {
      // Reading zero pages does not make them real; writing would.
      if (heads[i].words != nullptr || heads[i].late != nullptr) ResetHead(heads[i]);
    }
    std::free(heads);
  }
}

Head* HeadTable::Find(uint32_t series) const {
  Head* heads = blocks_[series / kHeadsPerBlock].load(std::memory_order_acquire);
  return heads == nullptr ? nullptr : heads + series % kHeadsPerBlock;
}

Head& HeadTable::FindOrMake(uint32_t series) {
  if (Head* head = Find(series)) return *head;
  // Zero pages cost nothing until a head on them is used.
  void* heads = std::calloc(kHeadsPerBlock, sizeof(Head));
  FAULTLINE_ASSERT(heads != nullptr, "out of memory");
  blocks_[series / kHeadsPerBlock].store(static_cast<Head*>(heads), std::memory_order_release);
  return *Find(series);
}

void HeadTable::Publish(SealedChunk&& chunk, SealedChunks& sealed) {
  auto shared = std::make_shared<const SealedChunk>(std::move(chunk));
  StripeOf(shared->series).sealed[shared->series].push_back(shared);
  sealed.push_back(std::move(shared));
}

void HeadTable::Seal(Head& head, uint32_t series, uint64_t record, bool day_ends,
                     SealedChunks& sealed) {
  static thread_local std::vector<Sample> samples;
  samples.clear();
  FAULTLINE_ASSERT(DecodeHead(head, samples), "a head must decode");
  SealedChunk chunk{series, false, record, head.first_ms, {}};
  EncodeChunk(samples, chunk.bytes);
  chunk.bytes.shrink_to_fit();
  Publish(std::move(chunk), sealed);
  if (++head.small_chunks >= kChunksPerMerge || day_ends) {
    merges_due_.push_back({series, DayOf(head.first_ms), day_ends});
    head.small_chunks = 0;
  }
  ClearChunk(head);
}

void HeadTable::SealLate(Head& head, uint32_t series, uint64_t record, SealedChunks& sealed) {
  const std::vector<Sample>& late = *head.late;
  for (size_t begin = 0; begin < late.size();) {
    size_t end = begin + 1;
    while (end < late.size() && DayOf(late[end].time_ms) == DayOf(late[begin].time_ms)) ++end;
    SealedChunk chunk{series, true, record, late[begin].time_ms, {}};
    EncodeChunk({late.data() + begin, end - begin}, chunk.bytes);
    Publish(std::move(chunk), sealed);
    begin = end;
  }
  delete head.late;
  head.late = nullptr;
  head.has_late = true;
}

Taken HeadTable::ApplyLate(Head& head, uint32_t series, int64_t time_ms, double value,
                           uint64_t record, SealedChunks& sealed) {
  if (time_ms < head.last_ms - out_of_order_ms_) return Taken::kTooOld;
  const auto by_time = [](const Sample& sample, int64_t wanted) { return sample.time_ms < wanted; };
  if (head.count > 0 && time_ms >= head.first_ms) {
    static thread_local std::vector<Sample> samples;
    samples.clear();
    FAULTLINE_ASSERT(DecodeHead(head, samples), "a head must decode");
    const auto same = std::lower_bound(samples.begin(), samples.end(), time_ms, by_time);
    if (same != samples.end() && same->time_ms == time_ms) {
      return SameBits(same->value, value) ? Taken::kDuplicate : Taken::kConflict;
    }
  }
  if (head.late == nullptr) head.late = new std::vector<Sample>();
  const auto at = std::lower_bound(head.late->begin(), head.late->end(), time_ms, by_time);
  if (at != head.late->end() && at->time_ms == time_ms) {
    return SameBits(at->value, value) ? Taken::kDuplicate : Taken::kConflict;
  }
  head.late->insert(at, {time_ms, value});
  head.min_ms = std::min(head.min_ms, time_ms);
  head.dirty = true;
  if (head.late->size() >= kMaxLateSamples) SealLate(head, series, record, sealed);
  return Taken::kLate;
}

Taken HeadTable::Apply(uint32_t series, int64_t time_ms, double value, uint64_t record,
                       SealedChunks& sealed) {
  Head& head = FindOrMake(series);
  std::lock_guard lock(StripeOf(series).mutex);
  return ApplyLocked(head, series, time_ms, value, record, sealed);
}

HeadTable::Outcomes HeadTable::ApplyAll(std::span<const AppendBatch::SampleRow> rows,
                                        uint64_t record, SealedChunks& sealed) {
  Outcomes outcomes;
  std::unique_lock<std::mutex> lock;
  const Stripe* held = nullptr;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i + 2 * kAhead < rows.size()) {
      if (const Head* far = Find(static_cast<uint32_t>(rows[i + 2 * kAhead].series)))
        __builtin_prefetch(far, 1);
    }
    if (i + kAhead < rows.size()) {
      // This thread alone writes heads, so it may look at one without its lock.
      const Head* near = Find(static_cast<uint32_t>(rows[i + kAhead].series));
      if (near != nullptr && near->words != nullptr)
        __builtin_prefetch(near->words + near->bit_count / 64, 1);
    }
    const auto series = static_cast<uint32_t>(rows[i].series);
    Head& head = FindOrMake(series);
    if (Stripe& stripe = StripeOf(series); &stripe != held) {
      lock = {};
      lock = std::unique_lock(stripe.mutex);
      held = &stripe;
    }
    const Taken taken = ApplyLocked(head, series, rows[i].time_ms, rows[i].value, record, sealed);
    if (taken == Taken::kStored || taken == Taken::kLate) {
      ++outcomes.appended;
    } else if (taken != Taken::kDuplicate) {
      ++outcomes.rejected;
    }
  }
  return outcomes;
}

Taken HeadTable::ApplyLocked(Head& head, uint32_t series, int64_t time_ms, double value,
                             uint64_t record, SealedChunks& sealed) {
  if (head.seen && time_ms <= head.last_ms) {
    if (time_ms < head.last_ms) return ApplyLate(head, series, time_ms, value, record, sealed);
    return std::bit_cast<uint64_t>(value) == head.last_bits ? Taken::kDuplicate : Taken::kConflict;
  }
  if (head.count > 0 && MustSeal(head, time_ms))
    Seal(head, series, record, DayOf(time_ms) != DayOf(head.first_ms), sealed);
  AppendToHead(head, time_ms, value);
  return Taken::kStored;
}

void HeadTable::Forget(const SealedChunks& chunks) {
  for (const auto& chunk : chunks) {
    Stripe& stripe = StripeOf(chunk->series);
    std::lock_guard lock(stripe.mutex);
    const auto found = stripe.sealed.find(chunk->series);
    if (found == stripe.sealed.end()) continue;
    std::erase(found->second, chunk);
    if (found->second.empty()) stripe.sealed.erase(found);
  }
}

bool HeadTable::SnapshotIfDirty(uint32_t series, HeadForm form, std::string& out) {
  const Head* head = Find(series);
  if (head == nullptr || !head->dirty) return false;
  EncodeHead(*head, form, out);
  return true;
}

void HeadTable::MarkClean(uint32_t series) {
  if (Head* head = Find(series)) {
    std::lock_guard lock(StripeOf(series).mutex);
    head->dirty = false;
  }
}

bool HeadTable::Restore(uint32_t series, std::string_view snapshot) {
  Head& head = FindOrMake(series);
  std::lock_guard lock(StripeOf(series).mutex);
  return RestoreHead(snapshot, head);
}

void HeadTable::Drop(uint32_t series) {
  if (Head* head = Find(series)) {
    Stripe& stripe = StripeOf(series);
    std::lock_guard lock(stripe.mutex);
    ResetHead(*head);
    stripe.sealed.erase(series);
  }
}

void HeadTable::RaiseOldest(uint32_t series, int64_t time_ms) {
  if (Head* head = Find(series)) {
    std::lock_guard lock(StripeOf(series).mutex);
    if (!head->seen || head->min_ms >= time_ms) return;
    head->min_ms = std::min(time_ms, head->last_ms);
    head->dirty = true;
  }
}

std::optional<HeadTable::Range> HeadTable::RangeOf(uint32_t series) const {
  const Head* head = Find(series);
  if (head == nullptr) return std::nullopt;
  std::lock_guard lock(StripeOf(series).mutex);
  if (!head->seen) return std::nullopt;
  return Range{head->min_ms, head->last_ms, head->has_late};
}

bool HeadTable::Read(uint32_t series, View& view) const {
  const Head* head = Find(series);
  if (head == nullptr) return false;
  Stripe& stripe = StripeOf(series);
  std::lock_guard lock(stripe.mutex);
  if (!head->seen) return false;
  FAULTLINE_ASSERT(DecodeHead(*head, view.samples), "a head must decode");
  if (head->late != nullptr) view.late = *head->late;
  if (const auto found = stripe.sealed.find(series); found != stripe.sealed.end()) {
    view.sealed = found->second;
  }
  view.range = {head->min_ms, head->last_ms, head->has_late};
  return true;
}

}  // namespace faultline::store
