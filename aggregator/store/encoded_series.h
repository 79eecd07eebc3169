// Remembers which series a sender's bytes for its labels stood for, so that labels are read once
// and not with every sample. Holds 96 bits of a seeded hash instead of the bytes: 16 bytes a slot,
// and no sender can aim at a collision without the seed. Bounded: a part that is full forgets.
// Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

namespace faultline::store {

class EncodedSeries {
 public:
  struct Hash {
    uint64_t low = 0;
    uint64_t high = 0;
  };
  explicit EncodedSeries(uint64_t max_series);
  Hash HashOf(std::string_view key) const;
  uint32_t Find(Hash hash) const;  // 0 if unknown
  void Insert(Hash hash, uint32_t id);

 private:
  static constexpr size_t kParts = 64;
  struct Slot {
    uint64_t low = 0;
    uint32_t high = 0;
    uint32_t id = 0;  // 0: empty
  };
  struct Part {
    mutable std::mutex mutex;
    std::vector<Slot> slots;
    size_t used = 0;
  };
  static size_t PlaceOf(const std::vector<Slot>& slots, Hash hash);
  static void Grow(Part& part, size_t size);
  Part& PartOf(Hash hash) const { return parts_[hash.high >> 58]; }

  const uint64_t seed_;
  const size_t max_used_;  // of a part
  mutable std::array<Part, kParts> parts_;
};

}  // namespace faultline::store
