#include "aggregator/store/log_block.h"

#include <string.h>

#include <algorithm>
#include <map>

#include "aggregator/store/bytes.h"
#include "aggregator/store/compression.h"
#include "aggregator/store/log_templates.h"

namespace faultline::store {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kTemplatesVersion = 2;
constexpr size_t kLeastLinesForTemplates = 16;
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
  const bool templates = entries.size() >= kLeastLinesForTemplates;
  if (templates) {
    std::vector<std::string_view> lines(entries.size());
    std::transform(entries.begin(), entries.end(), lines.begin(),
                   [](const LogEntry& entry) { return std::string_view(entry.body); });
    EncodeLines(lines, columns);
  } else {
    for (const LogEntry& entry : entries) PutVarint(columns, entry.body.size());
    for (const LogEntry& entry : entries) columns += entry.body;
  }
  out.push_back(static_cast<char>(templates ? kTemplatesVersion : kVersion));
  CompressTo(columns, level, out);
}

namespace {

struct Line {
  int64_t time_unix_ns = 0;
  uint64_t severity = 0;
  uint64_t set = 0;
};

// What a block says of its lines apart from their bodies.
struct Front {
  std::vector<Labels> sets;
  std::vector<Line> lines;
};

Result<Front> ReadFront(ByteReader& in) {
  Front front;
  const uint64_t count = in.Count(4);
  FAULTLINE_ASSIGN(front.sets, ReadAttributeSets(in));
  if (count > in.left() / 4)
    return Fail(ErrorCode::kCorruption, "log block: more lines than bytes");
  front.lines.resize(count);
  int64_t time = 0;
  for (Line& line : front.lines) line.time_unix_ns = time = WrapAdd(time, in.Signed());
  for (Line& line : front.lines) line.severity = in.Varint();
  for (Line& line : front.lines) line.set = in.Varint();
  for (const Line& line : front.lines) {
    if (in.failed() || line.set >= front.sets.size() || line.severity > kMaxSeverity)
      return Fail(ErrorCode::kCorruption, "log block: damaged lines");
  }
  return front;
}

Result<std::string> ReadColumns(std::string_view bytes, uint8_t& version) {
  version = bytes.empty() ? 0 : static_cast<uint8_t>(bytes[0]);
  if (version != kVersion && version != kTemplatesVersion)
    return Fail(ErrorCode::kCorruption, "log block of unknown version");
  return Uncompress(bytes.substr(1), kMaxBlockBytes);
}

// Bodies one after the other, in the two ways in which they are stored.
class Bodies {
 public:
  Bodies(bool templates, size_t count) : templates_(templates), sizes_(templates ? 0 : count) {}
  bool Open(ByteReader& in, size_t count) {
    if (templates_) return reader_.Open(in, count);
    for (uint64_t& size : sizes_) size = in.Varint();
    return !in.failed();
  }
  bool Next(ByteReader& in, std::string_view& body) {
    if (templates_) {
      const bool sound = reader_.Next(line_);
      body = line_;
      return sound;
    }
    body = in.Bytes(sizes_[next_++]);
    return !in.failed();
  }

 private:
  const bool templates_;
  LineReader reader_;
  std::string line_;
  std::vector<uint64_t> sizes_;
  size_t next_ = 0;
};

}  // namespace

Result<std::vector<LogEntry>> DecodeLogBlock(std::string_view bytes, int64_t begin_unix_ns,
                                             int64_t end_unix_ns,
                                             std::span<const std::string> needles) {
  uint8_t version = 0;
  FAULTLINE_ASSIGN(const std::string columns, ReadColumns(bytes, version));
  const bool templates = version == kTemplatesVersion;
  // A needle that is nowhere in the block is in none of its lines.
  for (const std::string& needle : needles) {
    if (templates ? CannotContain(columns, needle) : !Contains(columns, {&needle, 1}))
      return std::vector<LogEntry>();
  }
  ByteReader in(columns);
  FAULTLINE_ASSIGN(const Front front, ReadFront(in));
  Bodies bodies(templates, front.lines.size());
  if (!bodies.Open(in, front.lines.size()))
    return Fail(ErrorCode::kCorruption, "log block: damaged columns");
  std::vector<LogEntry> entries;
  std::string_view body;
  size_t text_bytes = 0;
  for (const Line& line : front.lines) {
    // A damaged block must not make terabytes out of one long template.
    if (!bodies.Next(in, body) || (text_bytes += body.size()) > kMaxBlockBytes)
      return Fail(ErrorCode::kCorruption, "log block: damaged lines");
    if (line.time_unix_ns < begin_unix_ns || line.time_unix_ns >= end_unix_ns ||
        !Contains(body, needles))
      continue;
    entries.push_back({line.time_unix_ns, std::string(body),
                       static_cast<v1::Severity>(line.severity), front.sets[line.set]});
  }
  if (in.failed() || !in.empty())
    return Fail(ErrorCode::kCorruption, "log block does not fit its size");
  return entries;
}

Result<void> VisitPatterns(std::string_view bytes, int64_t begin_unix_ns, int64_t end_unix_ns,
                           const std::function<void(int64_t, std::string_view)>& visit) {
  uint8_t version = 0;
  FAULTLINE_ASSIGN(const std::string columns, ReadColumns(bytes, version));
  if (version != kTemplatesVersion) return {};
  ByteReader in(columns);
  FAULTLINE_ASSIGN(const Front front, ReadFront(in));
  LineReader reader;
  if (!reader.Open(in, front.lines.size()))
    return Fail(ErrorCode::kCorruption, "log block: damaged columns");
  std::string_view text;
  for (const Line& line : front.lines) {
    if (!reader.NextTemplate(text)) break;
    if (!text.empty() && line.time_unix_ns >= begin_unix_ns && line.time_unix_ns < end_unix_ns)
      visit(line.time_unix_ns, text);
  }
  return {};
}

}  // namespace faultline::store
