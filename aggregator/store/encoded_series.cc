#include "aggregator/store/encoded_series.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <random>
#include <utility>

namespace faultline::store {
namespace {

constexpr size_t kLeastSlots = 64;

uint64_t Seed() {
  std::random_device random;
  return static_cast<uint64_t>(random()) << 32 | random();
}

}  // namespace

EncodedSeries::EncodedSeries(uint64_t max_series)
    : seed_(Seed()), max_used_(std::max<size_t>(kLeastSlots, 2 * max_series / kParts)) {}

EncodedSeries::Hash EncodedSeries::HashOf(std::string_view key) const {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(key.data(), key.size(), seed_);
  return {hash.low64, hash.high64};
}

// Where the hash is, or the empty slot where it would go.
size_t EncodedSeries::PlaceOf(const std::vector<Slot>& slots, Hash hash) {
  size_t at = hash.low & (slots.size() - 1);
  while (slots[at].id != 0 &&
         (slots[at].low != hash.low || slots[at].high != static_cast<uint32_t>(hash.high))) {
    at = (at + 1) & (slots.size() - 1);
  }
  return at;
}

uint32_t EncodedSeries::Find(Hash hash) const {
  const Part& part = PartOf(hash);
  std::lock_guard lock(part.mutex);
  return part.slots.empty() ? 0 : part.slots[PlaceOf(part.slots, hash)].id;
}

void EncodedSeries::Grow(Part& part, size_t size) {
  const std::vector<Slot> old = std::exchange(part.slots, std::vector<Slot>(size));
  for (const Slot& slot : old) {
    if (slot.id != 0) part.slots[PlaceOf(part.slots, {slot.low, slot.high})] = slot;
  }
}

void EncodedSeries::Insert(Hash hash, uint32_t id) {
  Part& part = PartOf(hash);
  std::lock_guard lock(part.mutex);
  if (part.used >= max_used_) {
    part.slots.clear();
    part.used = 0;
  }
  if ((part.used + 1) * 4 > part.slots.size() * 3)
    Grow(part, std::max(kLeastSlots, part.slots.size() * 2));
  Slot& slot = part.slots[PlaceOf(part.slots, hash)];
  if (slot.id == 0) ++part.used;
  slot = {hash.low, static_cast<uint32_t>(hash.high), id};
}

}  // namespace faultline::store
