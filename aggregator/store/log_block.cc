#include "aggregator/store/log_block.h"

#include <string.h>

#include <algorithm>
#include <map>

#include "aggregator/store/bytes.h"
#include "aggregator/store/compression.h"

namespace faultline::store {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kMaxBlockBytes = 64 << 20;
constexpr uint64_t kMaxSeverity = 24;

std::string EncodeAttributes(const Labels& attributes) {
  std::string out;
  PutVarint(out, attributes.size());
  for (const auto& [name, value] : attributes) {
    PutText(out, name);
    PutText(out, value);
  }
  return out;
}

bool Contains(std::string_view body, std::span<const std::string> needles) {
  // memmem does not stumble over needles that begin with a common letter.
  return std::all_of(needles.begin(), needles.end(), [&](const std::string& needle) {
    return ::memmem(body.data(), body.size(), needle.data(), needle.size()) != nullptr;
  });
}

Result<std::vector<Labels>> ReadAttributeSets(ByteReader& in) {
  std::vector<Labels> sets(in.Count(1));
  for (Labels& attributes : sets) {
    attributes.resize(in.Count(2));
    for (auto& [name, value] : attributes) {
      name = std::string(in.Text());
      value = std::string(in.Text());
    }
  }
  if (in.failed()) return Fail(ErrorCode::kCorruption, "log block: damaged attributes");
  return sets;
}

}  // namespace

void EncodeLogBlock(std::span<const LogEntry> entries, int level, std::string& out) {
  std::string columns;
  PutVarint(columns, entries.size());
  std::map<std::string, size_t> sets;
  std::vector<const std::string*> set_list;
  std::vector<size_t> set_of;
  for (const LogEntry& entry : entries) {
    const auto [at, is_new] = sets.emplace(EncodeAttributes(entry.attributes), sets.size());
    if (is_new) set_list.push_back(&at->first);
    set_of.push_back(at->second);
  }
  PutVarint(columns, set_list.size());
  for (const std::string* attributes : set_list) columns += *attributes;
  int64_t last = 0;
  for (const LogEntry& entry : entries) {
    PutSigned(columns, WrapSub(entry.time_unix_ns, last));
    last = entry.time_unix_ns;
  }
  for (const LogEntry& entry : entries) {
    PutVarint(columns, std::min(static_cast<uint64_t>(entry.severity), kMaxSeverity));
  }
  for (const size_t set : set_of) PutVarint(columns, set);
  for (const LogEntry& entry : entries) PutVarint(columns, entry.body.size());
  for (const LogEntry& entry : entries) columns += entry.body;
  out.push_back(static_cast<char>(kVersion));
  CompressTo(columns, level, out);
}

Result<std::vector<LogEntry>> DecodeLogBlock(std::string_view bytes, int64_t begin_unix_ns,
                                             int64_t end_unix_ns,
                                             std::span<const std::string> needles) {
  if (bytes.empty() || bytes[0] != kVersion)
    return Fail(ErrorCode::kCorruption, "log block of unknown version");
  FAULTLINE_ASSIGN(const std::string columns, Uncompress(bytes.substr(1), kMaxBlockBytes));
  // A needle that is nowhere in the block is in none of its lines.
  if (!Contains(columns, needles)) return std::vector<LogEntry>();
  ByteReader in(columns);
  const uint64_t count = in.Count(4);
  FAULTLINE_ASSIGN(const std::vector<Labels> sets, ReadAttributeSets(in));
  struct Line {
    int64_t time_unix_ns = 0;
    uint64_t severity = 0;
    uint64_t set = 0;
    uint64_t size = 0;
  };
  if (count > in.left() / 4)
    return Fail(ErrorCode::kCorruption, "log block: more lines than bytes");
  std::vector<Line> lines(count);
  int64_t time = 0;
  for (Line& line : lines) line.time_unix_ns = time = WrapAdd(time, in.Signed());
  for (Line& line : lines) line.severity = in.Varint();
  for (Line& line : lines) line.set = in.Varint();
  for (Line& line : lines) line.size = in.Varint();
  std::vector<LogEntry> entries;
  for (const Line& line : lines) {
    const std::string_view body = in.Bytes(line.size);
    if (in.failed() || line.set >= sets.size() || line.severity > kMaxSeverity) {
      return Fail(ErrorCode::kCorruption, "log block: damaged lines");
    }
    if (line.time_unix_ns < begin_unix_ns || line.time_unix_ns >= end_unix_ns ||
        !Contains(body, needles))
      continue;
    entries.push_back({line.time_unix_ns, std::string(body),
                       static_cast<v1::Severity>(line.severity), sets[line.set]});
  }
  if (in.failed() || !in.empty())
    return Fail(ErrorCode::kCorruption, "log block does not fit its size");
  return entries;
}

}  // namespace faultline::store
