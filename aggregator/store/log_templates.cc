#include "aggregator/store/log_templates.h"

#include <string.h>

#include <algorithm>
#include <array>
#include <unordered_map>

namespace faultline::store {
namespace {

constexpr size_t kMaxVariables = 64;
constexpr uint64_t kMaxTemplates = 1 << 16;

enum : uint8_t { kWord = 0, kDigit = 1, kDelimiter = 2, kForbidden = 3 };

constexpr std::array<uint8_t, 256> MakeKinds() {
  std::array<uint8_t, 256> kinds{};
  for (const char c : std::string_view(" \t,;:=\"'()[]{}<>|/&?!@#*+\\\r"))
    kinds[static_cast<uint8_t>(c)] = kDelimiter;
  for (char c = '0'; c <= '9'; ++c) kinds[static_cast<uint8_t>(c)] = kDigit;
  kinds[static_cast<uint8_t>(kVariableMark)] = kForbidden;
  kinds[static_cast<uint8_t>('\n')] = kForbidden;
  return kinds;
}
constexpr std::array<uint8_t, 256> kKinds = MakeKinds();

uint8_t KindOf(char c) { return kKinds[static_cast<uint8_t>(c)]; }

// False if the line must be kept whole.
bool Split(std::string_view line, std::string& text, std::vector<std::string_view>& variables) {
  text.clear();
  variables.clear();
  for (size_t at = 0; at < line.size();) {
    const size_t begin = at;
    bool digit = false;
    for (; at < line.size() && KindOf(line[at]) != kDelimiter; ++at) {
      const uint8_t kind = KindOf(line[at]);
      if (kind == kForbidden) return false;
      digit = digit || kind == kDigit;
    }
    if (digit) {
      if (variables.size() == kMaxVariables) return false;
      variables.push_back(line.substr(begin, at - begin));
      text.push_back(kVariableMark);
    } else {
      text.append(line.substr(begin, at - begin));
    }
    while (at < line.size() && KindOf(line[at]) == kDelimiter) text.push_back(line[at++]);
  }
  return true;
}

struct Columns {
  size_t lines = 0;
  uint32_t number = 0;
  std::string_view text;
  std::vector<std::string> variables;
};

std::string_view TakeUntilNewline(std::string_view& column, bool& sound) {
  const size_t end = column.find('\n');
  if (end == std::string_view::npos) {
    sound = false;
    return {};
  }
  const std::string_view value = column.substr(0, end);
  column.remove_prefix(end + 1);
  return value;
}

}  // namespace

void EncodeLines(std::span<const std::string_view> lines, std::string& out) {
  std::unordered_map<std::string, Columns> known;
  std::vector<Columns*> of_line(lines.size(), nullptr);
  std::string text;
  std::vector<std::string_view> variables;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!Split(lines[i], text, variables)) continue;
    const auto [at, is_new] = known.try_emplace(text);
    if (is_new) at->second.text = at->first;
    ++at->second.lines;
    of_line[i] = &at->second;
  }
  // In order of appearance; those of one line only are not worth a column.
  std::vector<Columns*> kept;
  for (Columns*& columns : of_line) {
    if (columns == nullptr) continue;
    if (columns->lines < 2) {
      columns = nullptr;
    } else if (columns->number == 0) {
      kept.push_back(columns);
      columns->number = static_cast<uint32_t>(kept.size());
    }
  }
  std::string whole;
  std::string whole_sizes;
  std::string numbers;
  for (size_t i = 0; i < lines.size(); ++i) {
    Columns* columns = of_line[i];
    PutVarint(numbers, columns == nullptr ? 0 : columns->number);
    if (columns == nullptr) {
      PutVarint(whole_sizes, lines[i].size());
      whole += lines[i];
      continue;
    }
    (void)Split(lines[i], text, variables);
    columns->variables.resize(variables.size());
    for (size_t v = 0; v < variables.size(); ++v) {
      columns->variables[v] += variables[v];
      columns->variables[v].push_back('\n');
    }
  }
  PutVarint(out, kept.size());
  for (const Columns* columns : kept) PutText(out, columns->text);
  out += numbers;
  out += whole_sizes;
  for (const Columns* columns : kept) {
    for (const std::string& column : columns->variables) PutVarint(out, column.size());
  }
  for (const Columns* columns : kept) {
    for (const std::string& column : columns->variables) out += column;
  }
  PutVarint(out, whole.size());
  out += whole;
}

bool LineReader::Open(ByteReader& in, size_t count) {
  const uint64_t templates = in.Count(1);
  if (templates > kMaxTemplates) return false;
  templates_.resize(templates);
  for (Template& one : templates_) {
    one.text = in.Text();
    one.columns.resize(
        static_cast<size_t>(std::count(one.text.begin(), one.text.end(), kVariableMark)));
    if (one.columns.size() > kMaxVariables) return false;
  }
  if (count > in.left()) return false;
  numbers_.resize(count);
  size_t whole_lines = 0;
  for (uint32_t& number : numbers_) {
    const uint64_t value = in.Varint();
    if (value > templates_.size()) return false;
    number = static_cast<uint32_t>(value);
    if (number == 0) ++whole_lines;
  }
  if (whole_lines > in.left()) return false;
  whole_sizes_.resize(whole_lines);
  for (uint32_t& size : whole_sizes_) size = static_cast<uint32_t>(in.Varint());
  std::vector<uint64_t> sizes;
  for (const Template& one : templates_) {
    for (size_t v = 0; v < one.columns.size(); ++v) sizes.push_back(in.Varint());
  }
  size_t next = 0;
  for (Template& one : templates_) {
    for (std::string_view& column : one.columns) column = in.Bytes(sizes[next++]);
  }
  whole_ = in.Text();
  return !in.failed();
}

bool LineReader::Next(std::string& line) {
  if (line_ == numbers_.size()) return false;
  const uint32_t number = numbers_[line_++];
  line.clear();
  if (number == 0) {
    const size_t size = whole_sizes_[whole_line_++];
    if (size > whole_.size()) return false;
    line = whole_.substr(0, size);
    whole_.remove_prefix(size);
    return true;
  }
  Template& one = templates_[number - 1];
  std::string_view rest = one.text;
  bool sound = true;
  for (std::string_view& column : one.columns) {
    const size_t mark = rest.find(kVariableMark);
    line.append(rest.substr(0, mark));
    rest.remove_prefix(mark + 1);
    line.append(TakeUntilNewline(column, sound));
  }
  line.append(rest);
  return sound;
}

bool LineReader::NextTemplate(std::string_view& text) {
  if (line_ == numbers_.size()) return false;
  const uint32_t number = numbers_[line_++];
  text = number == 0 ? std::string_view() : templates_[number - 1].text;
  return true;
}

bool CannotContain(std::string_view bytes, std::string_view needle) {
  // A run without delimiters lies within one word, and words are never torn apart.
  for (size_t at = 0; at < needle.size();) {
    const size_t begin = at;
    while (at < needle.size() && KindOf(needle[at]) != kDelimiter) {
      if (KindOf(needle[at]) == kForbidden) return false;
      ++at;
    }
    if (at > begin &&
        ::memmem(bytes.data(), bytes.size(), needle.data() + begin, at - begin) == nullptr) {
      return true;
    }
    while (at < needle.size() && KindOf(needle[at]) == kDelimiter) ++at;
  }
  return false;
}

std::string PatternOf(std::string_view template_text) {
  std::string pattern;
  for (const char c : template_text) {
    if (c == kVariableMark) {
      pattern += "<_>";
    } else {
      pattern.push_back(c);
    }
  }
  return pattern;
}

}  // namespace faultline::store
