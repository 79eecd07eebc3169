// Every log parser of the catalogue: the first byte chooses one, the rest are lines. A record never exceeds its bound, and
// whatever a parser says of unfinished records is flushed at the end. What comes out goes through every text parser and rule
// for joining lines.
#include <cstdint>
#include <string_view>

#include "agent/logs/line_joiner.h"
#include "agent/logs/log_parser.h"
#include "agent/logs/severity.h"
#include "agent/logs/text_parser.h"
#include "common/assert.h"
#include "common/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  constexpr uint32_t kMaxRecordBytes = 64;
  const auto rows = faultline::LogParserCatalogue();
  const auto parser = rows[bytes[0] % rows.size()].make(kMaxRecordBytes);
  const bool is_kmsg = rows[bytes[0] % rows.size()].name == "kmsg";  // its records have lines of their own
  std::string_view text(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  uint64_t offset = 0;
  std::vector<faultline::LineJoiner> joiners;
  for (const char* rule : {"java", "python", "go"}) joiners.emplace_back(*faultline::FindJoinRule(rule), kMaxRecordBytes);
  const auto check = [&](const faultline::ParsedLine& parsed, size_t line_bytes) {
    const size_t bound = parsed.malformed ? line_bytes : kMaxRecordBytes;
    FAULTLINE_ASSERT(parsed.record.body.size() <= bound, "a record keeps its bound");
    (void)faultline::SeverityOfText(parsed.record.body);
    for (const auto& row : faultline::TextParserCatalogue()) {
      faultline::LogChunk::Record record = parsed.record;
      if (!row.make()->Parse(record, 1'795'176'000'000'000'000)) {
        FAULTLINE_ASSERT(record.attributes.size() == parsed.record.attributes.size(), "a refused record is as it was");
      }
      FAULTLINE_ASSERT(record.body == parsed.record.body, "the text stays");
    }
    for (auto& joiner : joiners) {
      (void)joiner.Feed(faultline::ParsedLine(parsed));
    }
  };
  std::string_view line;
  while (is_kmsg ? !text.empty() : faultline::NextLine(text, line)) {
    if (is_kmsg) {
      line = text.substr(0, text.find('\0'));
      text.remove_prefix(line.size() + (line.size() < text.size() ? 1 : 0));
    }
    const uint64_t end = offset + line.size() + 1;
    const faultline::ParsedLine parsed = parser->Feed({.text = line, .offset = offset, .end_offset = end});
    check(parsed, line.size());
    FAULTLINE_ASSERT(!parsed.ready || parsed.record.offset <= offset, "a record begins where it was read");
    offset = end;
  }
  for (const faultline::ParsedLine& last : parser->Flush()) check(last, kMaxRecordBytes);
  FAULTLINE_ASSERT(!parser->unfinished("stdout") && !parser->unfinished("stderr"), "flushed");
  return 0;
}
