// Log lines as templates and variables: a word with a digit in it is a variable, everything else of
// a line is its template. A template is stored once per block, the variables of one place of it one
// after the other; alike things lie together, which is what compressors want, and a needle that is
// in no column is in no line. Exact: reading gives back every byte. Lines whose template nobody
// shares are kept whole.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/store/bytes.h"

namespace faultline::store {

constexpr char kVariableMark = '\x01';  // where a variable stands in a template's text

// Appends the columns of these lines.
void EncodeLines(std::span<const std::string_view> lines, std::string& out);

// Reads them again, in order. The bytes outlive the reader.
class LineReader {
 public:
  // False for bytes that EncodeLines never writes.
  bool Open(ByteReader& in, size_t count);
  // The next line; false at the end or when the columns do not fit together.
  bool Next(std::string& line);
  // The template of the next line, which is then passed over; nullopt of a line kept whole is "".
  bool NextTemplate(std::string_view& text);

 private:
  struct Template {
    std::string_view text;
    std::vector<std::string_view> columns;  // what is left of each
  };
  std::vector<Template> templates_;
  std::vector<uint32_t> numbers_;  // of each line; 0: kept whole
  std::string_view whole_;
  std::vector<uint32_t> whole_sizes_;
  size_t line_ = 0;
  size_t whole_line_ = 0;
};

// True if no line of the columns in `bytes` can contain the needle.
bool CannotContain(std::string_view bytes, std::string_view needle);

// For people: variables become <_>.
std::string PatternOf(std::string_view template_text);

}  // namespace faultline::store
