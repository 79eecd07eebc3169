// The tokens of a LogQL pipeline, taken from the text as the parser asks for them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace faultline::logql {

class Scanner {
 public:
  Scanner(std::string_view query, size_t position) : query_(query), position_(position) {}

  // Behind blanks and comments.
  size_t position();
  bool AtEnd() { return position() == query_.size(); }
  // Whether `text` comes next; a word only if no letter or digit follows.
  bool Sees(std::string_view text);
  bool Take(std::string_view text);
  std::optional<std::string_view> TakeWord();       // a label's name or a keyword
  std::optional<std::string_view> TakeQuantity();   // 5, -1.5, 10ms, 5KiB
  Result<std::optional<std::string>> TakeString();  // unquoted
  Result<int64_t> TakeDurationMs();
  std::unexpected<Error> Fail(std::string_view message);
  std::unexpected<Error> Unexpected(std::string_view expected);
  std::unexpected<Error> FailAt(size_t position, std::string_view message) const;

 private:
  std::string_view query_;
  size_t position_;
};

}  // namespace faultline::logql
