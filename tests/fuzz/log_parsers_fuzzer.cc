// Every log parser of the catalogue: the first byte chooses one, the rest are lines. A record never exceeds its bound, and
// whatever a parser says of unfinished records is flushed at the end.
#include <cstdint>
#include <string_view>

#include "agent/logs/log_parser.h"
#include "agent/logs/severity.h"
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
  const auto check = [](const faultline::ParsedLine& parsed, size_t line_bytes) {
    const size_t bound = parsed.malformed ? line_bytes : kMaxRecordBytes;
    FAULTLINE_ASSERT(parsed.record.body.size() <= bound, "a record keeps its bound");
    (void)faultline::SeverityOfText(parsed.record.body);
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
