// A text parser reads what the text of a record says of itself: how bad it is, when it happened,
// the few members that lead to other signals. The text stays as it is: queries take it apart.
// Without state, one instance for all files; used on the agent's thread.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "common/emitter.h"

namespace faultline {

class TextParser {
 public:
  virtual ~TextParser() = default;
  // False: the text is not of this format, and the record is as it was. `record.time_unix_ns` is
  // set only if it was 0: a runtime's stamp is better than what a program believes. Times without
  // year or zone are UTC and as near to `now_unix_ns` as possible.
  virtual bool Parse(LogChunk::Record& record, int64_t now_unix_ns) const = 0;
};

struct TextParserRow {
  std::string_view name;  // json, logfmt, klog …; as in logs.formats
  std::string_view doc;
  std::unique_ptr<TextParser> (*make)() = nullptr;
};

std::span<const TextParserRow> TextParserCatalogue();

}  // namespace faultline
