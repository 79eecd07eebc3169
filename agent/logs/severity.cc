// Three habits cover most of what containers print: klog's first letter (`E1120 12:00:00.000000`),
// a level member
// (`level=error`, `"level":"error"`, `"severity":"ERROR"`), and a level word that opens the line or
// stands alone behind the time stamp (`ERROR …`, `[error] …`). A word in the middle of a sentence
// says nothing.
#include "agent/logs/severity.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace faultline {
namespace {

constexpr size_t kMaxScanBytes = 256;

struct Word {
  std::string_view text;  // lower case
  v1::Severity severity;
};
constexpr Word kWords[] = {
    {"trace", v1::SEVERITY_TRACE},    {"debug", v1::SEVERITY_DEBUG},
    {"info", v1::SEVERITY_INFO},      {"information", v1::SEVERITY_INFO},
    {"notice", v1::SEVERITY_INFO},    {"warn", v1::SEVERITY_WARN},
    {"warning", v1::SEVERITY_WARN},   {"error", v1::SEVERITY_ERROR},
    {"err", v1::SEVERITY_ERROR},      {"fatal", v1::SEVERITY_FATAL},
    {"critical", v1::SEVERITY_FATAL}, {"crit", v1::SEVERITY_FATAL},
    {"panic", v1::SEVERITY_FATAL},    {"emerg", v1::SEVERITY_FATAL},
    {"alert", v1::SEVERITY_FATAL},
};

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view LettersAt(std::string_view text, size_t at) {
  size_t end = at;
  while (end < text.size() && IsLetter(text[end])) ++end;
  return text.substr(at, end - at);
}

// Whether `level`, `lvl` or `severity` is a member of that name, and the word behind it.
v1::Severity SeverityBehind(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && (IsLetter(text[begin - 1]) || text[begin - 1] == '_'))
    return v1::SEVERITY_UNSPECIFIED;
  size_t at = end;
  const bool quoted = text.substr(at).starts_with('"');
  at += quoted ? 1 : 0;
  while (quoted && at < text.size() && text[at] == ' ') ++at;
  if (at >= text.size() || text[at] != (quoted ? ':' : '=')) return v1::SEVERITY_UNSPECIFIED;
  ++at;
  while (at < text.size() && (text[at] == ' ' || text[at] == '"')) ++at;
  return SeverityOfWord(LettersAt(text, at));
}

// As logfmt and JSON write it. All its names have a v, which is rare elsewhere.
v1::Severity SeverityOfMember(std::string_view text) {
  struct Name {
    std::string_view text;
    size_t v;
  };
  constexpr Name kNames[] = {{"level", 2}, {"lvl", 1}, {"severity", 2}};
  for (size_t at = text.find('v'); at != std::string_view::npos; at = text.find('v', at + 1)) {
    for (const Name& name : kNames) {
      if (at < name.v || !text.substr(at - name.v).starts_with(name.text)) continue;
      const auto severity = SeverityBehind(text, at - name.v, at - name.v + name.text.size());
      if (severity != v1::SEVERITY_UNSPECIFIED) return severity;
    }
  }
  return v1::SEVERITY_UNSPECIFIED;
}

// A level word that nothing but digits, time marks and brackets precedes.
v1::Severity SeverityOfOpening(std::string_view text) {
  constexpr std::string_view kTimeMarks = "-:.,/+TZ[]()|< \t";
  size_t at = 0;
  while (at < text.size() && at < 48 &&
         (IsDigit(text[at]) || kTimeMarks.find(text[at]) != std::string_view::npos)) {
    if (IsLetter(text[at]) && (at == 0 || !IsDigit(text[at - 1]))) break;
    ++at;
  }
  const std::string_view word = LettersAt(text, at);
  const size_t end = at + word.size();
  // `ERROR`, `[error]`, `WARN:` are levels; `Error message displayed` may be anything.
  const bool marked =
      (end < text.size() && (text[end] == ']' || text[end] == ':' || text[end] == '|')) ||
      std::ranges::none_of(word, [](char c) { return c >= 'a' && c <= 'z'; });
  return marked ? SeverityOfWord(word) : v1::SEVERITY_UNSPECIFIED;
}

}  // namespace

v1::Severity SeverityOfWord(std::string_view word) {
  std::array<char, 12> lower{};
  if (word.empty() || word.size() > lower.size()) return v1::SEVERITY_UNSPECIFIED;
  std::ranges::transform(word, lower.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  for (const Word& known : kWords) {
    if (known.text == std::string_view(lower.data(), word.size())) return known.severity;
  }
  return v1::SEVERITY_UNSPECIFIED;
}

// `Lmmdd hh:mm:ss.`
v1::Severity SeverityOfKlog(std::string_view text) {
  constexpr std::string_view kShape = "L0000 00:00:00.";
  if (text.size() < kShape.size()) return v1::SEVERITY_UNSPECIFIED;
  for (size_t i = 1; i < kShape.size(); ++i) {
    if (kShape[i] == '0' ? !IsDigit(text[i]) : text[i] != kShape[i])
      return v1::SEVERITY_UNSPECIFIED;
  }
  switch (text[0]) {
    case 'I':
      return v1::SEVERITY_INFO;
    case 'W':
      return v1::SEVERITY_WARN;
    case 'E':
      return v1::SEVERITY_ERROR;
    case 'F':
      return v1::SEVERITY_FATAL;
    default:
      return v1::SEVERITY_UNSPECIFIED;
  }
}

v1::Severity SeverityOfText(std::string_view body) {
  body = body.substr(0, kMaxScanBytes);
  if (const auto severity = SeverityOfKlog(body); severity != v1::SEVERITY_UNSPECIFIED)
    return severity;
  if (const auto severity = SeverityOfOpening(body); severity != v1::SEVERITY_UNSPECIFIED)
    return severity;
  return SeverityOfMember(body);
}

}  // namespace faultline
