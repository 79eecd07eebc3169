// Reads one JSON text member by member without building anything: members in any order, what is not
// wanted is skipped whatever it holds; nothing is allocated but the texts that are asked for.
#pragma once

#include <string>
#include <string_view>

namespace faultline {

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : text_(text) {}

  bool Take(char c);
  bool AtEnd();
  // A string, unescaped.
  bool TakeString(std::string& out);
  bool NextIsString();
  // Any value: strings are skipped as strings, the rest by counting brackets.
  bool SkipValue();
  // As SkipValue; what was skipped, as it stands.
  bool TakeRaw(std::string_view& raw);

 private:
  void SkipBlanks();
  void SkipWord();
  bool TakeEscape(std::string& out);

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace faultline
