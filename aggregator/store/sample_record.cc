#include "aggregator/store/sample_record.h"

#include <bit>
#include <cmath>

#include "aggregator/store/bytes.h"
#include "aggregator/store/compression.h"

namespace faultline::store {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kMaxRecordBytes = size_t{1} << 30;
constexpr double kMaxWhole = 9007199254740992.0;  // 2^53

bool IsWhole(double value) {
  return value > -kMaxWhole && value < kMaxWhole && std::trunc(value) == value &&
         (value != 0 || !std::signbit(value));
}

}  // namespace

void EncodeSampleRecord(const std::vector<AppendBatch::SampleRow>& rows, std::string& out) {
  std::string columns;
  columns.reserve(rows.size() * 6 + 16);
  PutVarint(columns, rows.size());
  int64_t last_series = 0;
  for (const auto& row : rows) {
    PutSigned(columns, WrapSub(static_cast<int64_t>(row.series), last_series));
    last_series = static_cast<int64_t>(row.series);
  }
  int64_t last_ms = 0;
  for (size_t begin = 0; begin < rows.size();) {
    size_t end = begin + 1;
    while (end < rows.size() && rows[end].time_ms == rows[begin].time_ms) ++end;
    PutSigned(columns, WrapSub(rows[begin].time_ms, last_ms));
    PutVarint(columns, end - begin);
    last_ms = rows[begin].time_ms;
    begin = end;
  }
  std::string fractions;
  for (const auto& row : rows) {
    if (IsWhole(row.value)) {
      PutVarint(columns, ZigZag(static_cast<int64_t>(row.value)) + 1);
    } else {
      PutVarint(columns, 0);
      PutFixed64(fractions, std::bit_cast<uint64_t>(row.value));
    }
  }
  columns += fractions;
  out.push_back(static_cast<char>(kVersion));
  CompressTo(columns, 1, out);
}

Result<std::vector<AppendBatch::SampleRow>> DecodeSampleRecord(std::string_view bytes) {
  if (bytes.empty() || bytes[0] != kVersion) {
    return Fail(ErrorCode::kCorruption, "durable log: record of unknown version");
  }
  FAULTLINE_ASSIGN(const std::string columns, Uncompress(bytes.substr(1), kMaxRecordBytes));
  ByteReader in(columns);
  const uint64_t count = in.Count(2);
  std::vector<AppendBatch::SampleRow> rows(count);
  int64_t series = 0;
  for (auto& row : rows) {
    series = WrapAdd(series, in.Signed());
    row.series = static_cast<uint64_t>(series);
  }
  int64_t time_ms = 0;
  for (uint64_t at = 0; at < count;) {
    time_ms = WrapAdd(time_ms, in.Signed());
    const uint64_t run = in.Varint();
    if (run == 0 || run > count - at)
      return Fail(ErrorCode::kCorruption, "durable log: bad run of times");
    for (uint64_t i = 0; i < run; ++i) rows[at++].time_ms = time_ms;
  }
  std::vector<AppendBatch::SampleRow*> fractions;
  for (auto& row : rows) {
    const uint64_t whole = in.Varint();
    if (whole == 0) {
      fractions.push_back(&row);
    } else {
      row.value = static_cast<double>(UnZigZag(whole - 1));
    }
  }
  for (auto* row : fractions) row->value = std::bit_cast<double>(in.Fixed64());
  if (in.failed() || !in.empty())
    return Fail(ErrorCode::kCorruption, "durable log: record does not fit its size");
  return rows;
}

}  // namespace faultline::store
