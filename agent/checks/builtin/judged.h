// What the built-in checks share: the worst of several judgements becomes the finding, with the
// devices that are affected; and counters that are judged by their growth.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "agent/checks/builtin/check.h"
#include "common/text.h"

namespace faultline {

class Judged {
 public:
  // Higher of the two verdicts ok < degraded < problem counts.
  void Raise(v1::CheckVerdict verdict, std::string_view device, std::string_view text) {
    if (verdict > finding_.verdict) finding_.verdict = verdict;
    if (verdict == v1::CHECK_VERDICT_OK) return;
    Append(devices_, ",", device);
    Append(texts_, "; ", text);
  }
  void Problem(std::string_view device, std::string_view text) {
    Raise(v1::CHECK_VERDICT_PROBLEM, device, text);
  }
  void Degraded(std::string_view device, std::string_view text) {
    Raise(v1::CHECK_VERDICT_DEGRADED, device, text);
  }
  // Too high: degraded from `warn` on, a problem from `crit` on.
  void High(double value, double warn, double crit, std::string_view device,
            std::string_view text) {
    if (value >= crit) return Problem(device, text);
    if (value >= warn) Degraded(device, text);
  }
  void Low(double value, double warn, double crit, std::string_view device, std::string_view text) {
    if (value <= crit) return Problem(device, text);
    if (value <= warn) Degraded(device, text);
  }
  void Saw() { ++seen_; }  // something to judge
  size_t seen() const { return seen_; }
  bool ok() const { return finding_.verdict == v1::CHECK_VERDICT_OK; }
  Finding& finding() { return finding_; }
  Finding Finish(std::string ok_message, std::string expected = "") {
    finding_.message = texts_.empty() ? std::move(ok_message) : texts_;
    finding_.current = texts_.empty() ? "" : finding_.message;
    finding_.device = devices_;
    finding_.expected = std::move(expected);
    return std::move(finding_);
  }

 private:
  static constexpr size_t kMaxText = 700;
  static void Append(std::string& to, std::string_view separator, std::string_view text) {
    if (text.empty() || to.size() > kMaxText) return;
    if (!to.empty()) to += separator;
    to += text;
  }

  Finding finding_;
  std::string devices_;
  std::string texts_;
  size_t seen_ = 0;
};

// The growth of counters between two looks.
class Growth {
 public:
  // Nothing at the first look; 0 after a counter went back.
  std::optional<double> Of(const std::string& name, double value) {
    const auto [at, is_new] = last_.try_emplace(name, value);
    if (is_new) return std::nullopt;
    const double grown = value - at->second;
    at->second = value;
    return grown < 0 ? 0 : grown;
  }

 private:
  std::map<std::string, double> last_;
};

// `key value` or `key: value kB` lines of /proc.
inline double FieldOf(std::string_view text, std::string_view key, double fallback = -1) {
  std::string_view line;
  while (NextLine(text, line)) {
    std::string_view word = NextWord(line);
    if (word.ends_with(':')) word.remove_suffix(1);
    if (word == key) return ParseDouble(NextWord(line)).value_or(fallback);
  }
  return fallback;
}

inline double Percent(double part, double whole) { return whole <= 0 ? 0 : 100 * part / whole; }

// Globs over names, comma separated.
inline bool NameIn(std::string_view list, std::string_view name) {
  for (const std::string_view glob : Split(list, ',')) {
    if (!Trim(glob).empty() && GlobMatch(Trim(glob), name)) return true;
  }
  return false;
}

}  // namespace faultline
