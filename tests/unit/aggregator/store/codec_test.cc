// Round trips of the head, chunk, sample record and log block codecs over every kind of value, and
// refusal of damage.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "aggregator/store/chunk.h"
#include "aggregator/store/head_chunk.h"
#include "aggregator/store/log_block.h"
#include "aggregator/store/sample_record.h"

namespace faultline::store {
namespace {

bool Same(const std::vector<Sample>& a, const std::vector<Sample>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].time_ms != b[i].time_ms ||
        std::bit_cast<uint64_t>(a[i].value) != std::bit_cast<uint64_t>(b[i].value)) {
      return false;
    }
  }
  return true;
}

// Series of one day, of the kinds that nodes have.
std::vector<Sample> Make(int kind, size_t count, std::mt19937_64& random) {
  std::vector<Sample> samples;
  int64_t time_ms = 1'763'600'000'000 + static_cast<int64_t>(random() % 1000);
  double value = 1000;
  for (size_t i = 0; i < count; ++i) {
    const double noise = static_cast<double>(random() % 1000);
    switch (kind) {
      case 0:
        value = 7;
        break;  // constant
      case 1:
        value += noise;
        break;  // counter
      case 2:
        value = std::round(noise) / 100;
        break;  // two decimals
      case 3:
        value = std::bit_cast<double>(random());
        break;  // any bits at all
      case 4:
        value = i % 17 == 0 ? StaleMarker() : noise;
        break;  // gaps
      case 5:
        value = std::sin(static_cast<double>(i));
        break;  // full precision
      case 6:
        value = std::round(value * 100 + noise) / 100;
        break;  // seconds counter
      case 7:
        value = i % 2 == 0 ? -0.0 : std::numeric_limits<double>::infinity();
        break;
      case 8:
        value = std::floor(value * 1e6 + noise) / 1e3 / 1e3;
        break;
      case 9:
        value = std::floor(noise) * 1e-3;
        break;
      default:
        value = 1e15 + noise;
        break;  // bytes, large
    }
    samples.push_back({time_ms, value});
    time_ms += kind % 2 == 0 ? 1000 : 1 + static_cast<int64_t>(random() % 3000);
  }
  return samples;
}
constexpr int kKinds = 11;

TEST(Head, GivesBackWhatWasAppended) {
  std::mt19937_64 random(1);
  for (int kind = 0; kind < kKinds; ++kind) {
    const auto samples = Make(kind, kSamplesPerChunk, random);
    Head head;
    for (const Sample& sample : samples) {
      ASSERT_TRUE(head.count == 0 || !MustSeal(head, sample.time_ms));
      AppendToHead(head, sample.time_ms, sample.value);
    }
    EXPECT_TRUE(MustSeal(head, samples.back().time_ms + 1));
    std::vector<Sample> decoded;
    ASSERT_TRUE(DecodeHead(head, decoded));
    EXPECT_TRUE(Same(samples, decoded)) << "kind " << kind;
    ResetHead(head);
  }
}

TEST(Head, GoesOnAfterARestore) {
  std::mt19937_64 random(2);
  for (int kind = 0; kind < 2 * kKinds; ++kind) {
    const HeadForm form = kind < kKinds ? HeadForm::kBits : HeadForm::kChunk;
    for (const size_t first : {0u, 1u, 2u, 50u, 119u}) {
      const auto samples = Make(kind % kKinds, kSamplesPerChunk, random);
      Head head;
      for (size_t i = 0; i < first; ++i) AppendToHead(head, samples[i].time_ms, samples[i].value);
      std::string snapshot;
      EncodeHead(head, form, snapshot);
      Head restored;
      ASSERT_TRUE(RestoreHead(snapshot, restored)) << kind << " " << first;
      for (size_t i = first; i < samples.size(); ++i)
        AppendToHead(restored, samples[i].time_ms, samples[i].value);
      std::vector<Sample> decoded;
      ASSERT_TRUE(DecodeHead(restored, decoded));
      EXPECT_TRUE(Same(samples, decoded)) << "kind " << kind;
      ResetHead(head);
      ResetHead(restored);
    }
  }
}

TEST(Head, RefusesDamagedSnapshots) {
  std::mt19937_64 random(3);
  Head head;
  for (const Sample& sample : Make(1, 60, random)) AppendToHead(head, sample.time_ms, sample.value);
  for (const HeadForm form : {HeadForm::kBits, HeadForm::kChunk}) {
    std::string snapshot;
    EncodeHead(head, form, snapshot);
    Head restored;
    for (size_t size = 0; size < snapshot.size(); ++size) {
      EXPECT_FALSE(RestoreHead(std::string_view(snapshot).substr(0, size), restored));
    }
    for (int i = 0; i < 2000; ++i) {
      std::string mutant = snapshot;
      mutant[random() % mutant.size()] ^= static_cast<char>(1 << random() % 8);
      RestoreHead(mutant, restored);
      ResetHead(restored);
    }
  }
  ResetHead(head);
}

TEST(Chunk, IsExactForEveryKind) {
  std::mt19937_64 random(4);
  for (int kind = 0; kind < kKinds; ++kind) {
    for (const size_t count : {1u, 2u, 3u, 120u, 5000u}) {
      const auto samples = Make(kind, count, random);
      std::string bytes;
      EncodeChunk(samples, bytes);
      std::vector<Sample> decoded;
      ASSERT_TRUE(DecodeChunk(bytes, samples[0].time_ms, decoded)) << kind << " " << count;
      EXPECT_TRUE(Same(samples, decoded)) << "kind " << kind << " count " << count;
    }
  }
}

TEST(Chunk, IsSmallWhereNodesAreDull) {
  std::mt19937_64 random(5);
  std::string constant;
  EncodeChunk(Make(0, 120, random), constant);
  EXPECT_LE(constant.size(), 8u);
  std::string milliseconds;
  EncodeChunk(Make(9, 120, random), milliseconds);
  EXPECT_LE(milliseconds.size(), 120u * 4 + 24);  // irregular times take half of it
  std::string hundredths;
  EncodeChunk(Make(6, 120, random), hundredths);
  EXPECT_LE(hundredths.size(), 120u * 2 + 24);
}

TEST(Chunk, RefusesDamage) {
  std::mt19937_64 random(6);
  for (int kind = 0; kind < kKinds; ++kind) {
    const auto samples = Make(kind, 120, random);
    std::string bytes;
    EncodeChunk(samples, bytes);
    std::vector<Sample> decoded;
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(DecodeChunk(std::string_view(bytes).substr(0, size), 0, decoded));
      EXPECT_TRUE(decoded.empty());
    }
    for (int i = 0; i < 500; ++i) {
      std::string mutant = bytes;
      mutant[random() % mutant.size()] ^= static_cast<char>(1 << random() % 8);
      decoded.clear();
      DecodeChunk(mutant, 0, decoded);
    }
  }
}

TEST(SampleRecord, RoundTrips) {
  std::mt19937_64 random(7);
  std::vector<AppendBatch::SampleRow> rows;
  for (int kind = 0; kind < kKinds; ++kind) {
    for (const Sample& sample : Make(kind, 300, random)) {
      rows.push_back({random() % 1000 + 1, sample.time_ms, sample.value});
    }
  }
  std::string bytes;
  EncodeSampleRecord(rows, bytes);
  const auto decoded = DecodeSampleRecord(bytes);
  ASSERT_TRUE(decoded) << decoded.error().message;
  ASSERT_EQ(decoded->size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ((*decoded)[i].series, rows[i].series);
    EXPECT_EQ((*decoded)[i].time_ms, rows[i].time_ms);
    EXPECT_EQ(std::bit_cast<uint64_t>((*decoded)[i].value), std::bit_cast<uint64_t>(rows[i].value));
  }
  EXPECT_EQ(DecodeSampleRecord(bytes.substr(0, bytes.size() / 2)).error().code,
            ErrorCode::kCorruption);
  EXPECT_EQ(DecodeSampleRecord("").error().code, ErrorCode::kCorruption);
}

TEST(LogBlock, RoundTripsAndFilters) {
  std::vector<LogEntry> entries;
  for (int i = 0; i < 1000; ++i) {
    entries.push_back({i * 10, "line " + std::to_string(i) + " says hello", v1::SEVERITY_INFO,
                       i % 2 == 0 ? Labels{{"level", "info"}} : Labels{}});
  }
  std::string bytes;
  EncodeLogBlock(entries, 3, bytes);
  const auto all = DecodeLogBlock(bytes, INT64_MIN, INT64_MAX, {});
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), entries.size());
  EXPECT_EQ((*all)[501].body, entries[501].body);
  EXPECT_EQ((*all)[502].attributes, entries[502].attributes);
  const std::string needles[] = {"line 77"};
  const auto some = DecodeLogBlock(bytes, 100, 7750, needles);
  ASSERT_TRUE(some);
  EXPECT_EQ(some->size(), 6u);  // 77, 770 … 774
  for (size_t size = 0; size < bytes.size(); size += 7) {
    EXPECT_FALSE(DecodeLogBlock(std::string_view(bytes).substr(0, size), INT64_MIN, INT64_MAX, {}));
  }
}

}  // namespace
}  // namespace faultline::store
