// Stages over the line as it is: unpack, decolorize, and pattern filters (|> !>), whose <_> stands for anything.
#include <boost/json.hpp>

#include <algorithm>

#include "aggregator/query/logql_pipeline.h"
#include "common/text.h"

namespace faultline::logql {
namespace {

namespace json = boost::json;

// What promtail's pack made: a JSON object of labels, the line in _entry.
class Unpack final : public Stage {
 public:
  bool rewrites() const override { return true; }
  bool Apply(LogLine& line) const override {
    json::error_code error;
    const json::value document = json::parse({line.text.data(), line.text.size()}, error);
    if (error || !document.is_object()) {
      line.Complain("JSONParserErr");
      return true;
    }
    std::optional<std::string> entry;
    for (const auto& member : document.get_object()) {
      if (!member.value().is_string()) continue;
      const std::string value(member.value().get_string());
      if (member.key() == "_entry") {
        entry = value;
      } else {
        line.Extract(std::string(member.key()), value);
      }
    }
    if (entry) {
      line.formatted = std::move(*entry);
      line.text = line.formatted;
    }
    return true;
  }
};

// Without the ANSI sequences that colour terminals.
class Decolorize final : public Stage {
 public:
  bool rewrites() const override { return true; }
  bool Apply(LogLine& line) const override {
    if (line.text.find('\x1b') == std::string_view::npos) return true;
    std::string plain;
    for (size_t i = 0; i < line.text.size(); ++i) {
      if (line.text[i] == '\x1b' && i + 1 < line.text.size() && line.text[i + 1] == '[') {
        i += 2;
        while (i < line.text.size() && (line.text[i] < '@' || line.text[i] > '~')) ++i;
      } else {
        plain += line.text[i];
      }
    }
    line.formatted = std::move(plain);
    line.text = line.formatted;
    return true;
  }
};

// Literals in order; before, between and after them anything where <_> stands, nothing elsewhere.
class PatternFilter final : public Stage {
 public:
  PatternFilter(std::vector<std::string> alternatives, bool negative) : negative_(negative) {
    for (const std::string& text : alternatives) patterns_.push_back(Pieces(text));
  }
  bool Apply(LogLine& line) const override {
    const bool any = std::any_of(patterns_.begin(), patterns_.end(),
                                 [&](const auto& pieces) { return Matches(pieces, line.text); });
    return any != negative_;
  }
  std::string_view needle() const override {
    if (negative_ || patterns_.size() != 1) return {};
    return *std::max_element(patterns_[0].begin(), patterns_[0].end(),
                             [](const std::string& a, const std::string& b) { return a.size() < b.size(); });
  }

 private:
  static std::vector<std::string> Pieces(std::string_view text) {
    constexpr std::string_view kAny = "<_>";
    std::vector<std::string> pieces;
    for (size_t at; (at = text.find(kAny)) != std::string_view::npos; text.remove_prefix(at + kAny.size()))
      pieces.emplace_back(text.substr(0, at));
    pieces.emplace_back(text);
    return pieces;
  }
  static bool Matches(const std::vector<std::string>& pieces, std::string_view text) {
    if (pieces.size() == 1) return text == pieces[0];
    if (!text.starts_with(pieces.front()) || !text.ends_with(pieces.back()) ||
        text.size() < pieces.front().size() + pieces.back().size()) {
      return false;
    }
    text = text.substr(pieces.front().size(), text.size() - pieces.front().size() - pieces.back().size());
    for (size_t i = 1; i + 1 < pieces.size(); ++i) {
      const size_t at = text.find(pieces[i]);
      if (at == std::string_view::npos) return false;
      text.remove_prefix(at + pieces[i].size());
    }
    return true;
  }

  std::vector<std::vector<std::string>> patterns_;
  const bool negative_;
};

}  // namespace

std::unique_ptr<Stage> MakeUnpack() { return std::make_unique<Unpack>(); }
std::unique_ptr<Stage> MakeDecolorize() { return std::make_unique<Decolorize>(); }
std::unique_ptr<Stage> MakePatternFilter(std::vector<std::string> alternatives, bool negative) {
  return std::make_unique<PatternFilter>(std::move(alternatives), negative);
}

}  // namespace faultline::logql
