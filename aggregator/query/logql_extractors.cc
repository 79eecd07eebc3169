// Stages that read labels out of a line (json, logfmt, pattern, regexp) and those that rewrite line
// and labels.
#include <re2/re2.h>

#include <boost/json.hpp>

#include <algorithm>

#include "aggregator/query/logql_pipeline.h"
#include "aggregator/query/logql_template.h"
#include "aggregator/query/number_text.h"
#include "aggregator/query/promql_parser.h"
#include "common/text.h"

namespace faultline::logql {
namespace {

namespace json = boost::json;
using Fields = std::vector<std::pair<std::string, std::string>>;

constexpr size_t kMaxJsonDepth = 16;

std::optional<std::string> ScalarText(const json::value& value) {
  switch (value.kind()) {
    case json::kind::string:
      return std::string(value.get_string());
    case json::kind::bool_:
      return value.get_bool() ? "true" : "false";
    case json::kind::int64:
      return std::to_string(value.get_int64());
    case json::kind::uint64:
      return std::to_string(value.get_uint64());
    case json::kind::double_:
      return promql::GoFloatText(value.get_double());
    default:
      return std::nullopt;
  }
}

class JsonParser final : public Stage {
 public:
  explicit JsonParser(Fields paths) : paths_(std::move(paths)) {}

  bool Apply(LogLine& line) const override {
    json::error_code error;
    json::parse_options options;
    options.max_depth = kMaxJsonDepth;
    const json::value document =
        json::parse({line.text.data(), line.text.size()}, error, {}, options);
    if (error || !document.is_object()) {
      line.Complain("JSONParserErr");
      return true;
    }
    if (paths_.empty()) {
      Flatten(document.get_object(), "", line);
      return true;
    }
    for (const auto& [label, path] : paths_) {
      const json::value* value = Find(document, path);
      if (value == nullptr) continue;
      line.Extract(label,
                   ScalarText(*value).value_or(value->is_null() ? "" : json::serialize(*value)));
    }
    return true;
  }

 private:
  static void Flatten(const json::object& object, const std::string& prefix, LogLine& line) {
    for (const auto& member : object) {
      const std::string name = prefix + std::string(member.key());
      if (member.value().is_object()) {
        Flatten(member.value().get_object(), name + "_", line);
      } else if (const auto text = ScalarText(member.value())) {
        line.Extract(name, *text);
      }
    }
  }

  // a.b[0].c or a["b"]
  static const json::value* Find(const json::value& document, std::string_view path) {
    const json::value* at = &document;
    while (!path.empty() && at != nullptr) {
      if (path.front() == '.') path.remove_prefix(1);
      std::string_view key;
      if (path.starts_with('[')) {
        const size_t end = path.find(']');
        if (end == std::string_view::npos) return nullptr;
        key = path.substr(1, end - 1);
        path.remove_prefix(end + 1);
        if (const auto index = ParseUint(key)) {
          at = at->is_array() ? at->get_array().if_contains(*index) : nullptr;
          continue;
        }
        if (key.size() >= 2) key = key.substr(1, key.size() - 2);
      } else {
        const size_t end = std::min(path.find_first_of(".["), path.size());
        key = path.substr(0, end);
        path.remove_prefix(end);
      }
      at = at->is_object() ? at->get_object().if_contains({key.data(), key.size()}) : nullptr;
    }
    return at;
  }

  const Fields paths_;
};

class LogfmtParser final : public Stage {
 public:
  explicit LogfmtParser(Fields fields) : fields_(std::move(fields)) {}

  bool Apply(LogLine& line) const override {
    std::string_view rest = line.text;
    std::string value;
    while (!(rest = Trim(rest)).empty()) {
      const size_t key_end = std::min(rest.find_first_of("= \t"), rest.size());
      const std::string_view key = rest.substr(0, key_end);
      rest.remove_prefix(key_end);
      value.clear();
      if (rest.starts_with('=')) {
        rest.remove_prefix(1);
        if (!TakeValue(rest, value)) line.Complain("LogfmtParserErr");
      }
      if (!key.empty() && !value.empty()) Store(line, key, value);
    }
    return true;
  }

 private:
  static bool TakeValue(std::string_view& rest, std::string& value) {
    if (!rest.starts_with('"')) {
      const size_t end = std::min(rest.find_first_of(" \t"), rest.size());
      value = rest.substr(0, end);
      rest.remove_prefix(end);
      return true;
    }
    for (size_t i = 1; i < rest.size(); ++i) {
      if (rest[i] == '"') {
        rest.remove_prefix(i + 1);
        return true;
      }
      if (rest[i] == '\\' && i + 1 < rest.size()) {
        ++i;
        value += rest[i] == 'n' ? '\n' : rest[i] == 't' ? '\t' : rest[i];
      } else {
        value += rest[i];
      }
    }
    rest = {};
    return false;
  }

  void Store(LogLine& line, std::string_view key, std::string_view value) const {
    if (fields_.empty()) line.Extract(key, value);
    for (const auto& [label, field] : fields_) {
      if (field == key) line.Extract(label, value);
    }
  }

  const Fields fields_;
};

// `<name> literal <_>`: literals in between must be found in order.
class PatternParser final : public Stage {
 public:
  struct Piece {
    std::string literal;
    std::string capture;  // behind the literal; empty at the end
  };
  explicit PatternParser(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {}

  bool Apply(LogLine& line) const override {
    std::string_view rest = line.text;
    if (!rest.starts_with(pieces_[0].literal)) return true;
    rest.remove_prefix(pieces_[0].literal.size());
    for (size_t i = 0; i < pieces_.size(); ++i) {
      if (pieces_[i].capture.empty()) break;
      const bool last = i + 1 == pieces_.size() || pieces_[i + 1].literal.empty();
      const size_t end = last ? rest.size() : rest.find(pieces_[i + 1].literal);
      if (end == std::string_view::npos) break;
      if (pieces_[i].capture != "_") line.Extract(pieces_[i].capture, rest.substr(0, end));
      if (last) break;
      rest.remove_prefix(end + pieces_[i + 1].literal.size());
    }
    return true;
  }

 private:
  const std::vector<Piece> pieces_;
};

class RegexpParser final : public Stage {
 public:
  explicit RegexpParser(std::unique_ptr<RE2> regex) : regex_(std::move(regex)) {}
  bool Apply(LogLine& line) const override {
    std::vector<re2::StringPiece> groups(static_cast<size_t>(regex_->NumberOfCapturingGroups()) +
                                         1);
    if (!regex_->Match({line.text.data(), line.text.size()}, 0, line.text.size(), RE2::UNANCHORED,
                       groups.data(), static_cast<int>(groups.size()))) {
      return true;
    }
    for (const auto& [name, group] : regex_->NamedCapturingGroups()) {
      const re2::StringPiece& piece = groups[static_cast<size_t>(group)];
      line.Extract(name, {piece.data(), piece.size()});
    }
    return true;
  }

 private:
  const std::unique_ptr<RE2> regex_;
};

class LineFormat final : public Stage {
 public:
  bool rewrites() const override { return true; }
  explicit LineFormat(LineTemplate text) : text_(std::move(text)) {}
  bool Apply(LogLine& line) const override {
    std::string rendered = text_.Render(line);
    line.formatted = std::move(rendered);
    line.text = line.formatted;
    return true;
  }

 private:
  const LineTemplate text_;
};

class LabelFormat final : public Stage {
 public:
  LabelFormat(std::string to, LineTemplate text, std::string removed)
      : to_(std::move(to)), text_(std::move(text)), removed_(std::move(removed)) {}
  bool Apply(LogLine& line) const override {
    const std::string value = text_.Render(line);
    if (!removed_.empty()) line.Remove(removed_);
    line.Set(to_, value);
    return true;
  }

 private:
  const std::string to_;
  const LineTemplate text_;
  const std::string removed_;  // of a rename
};

class DropLabels final : public Stage {
 public:
  DropLabels(std::vector<std::string> names, bool keep_instead)
      : names_(std::move(names)), keep_instead_(keep_instead) {}
  bool Apply(LogLine& line) const override {
    for (const auto& label : line.Merged()) {
      const bool named = std::find(names_.begin(), names_.end(), label.first) != names_.end();
      if (named != keep_instead_) line.Remove(label.first);
    }
    return true;
  }

 private:
  const std::vector<std::string> names_;
  const bool keep_instead_;
};

}  // namespace

std::unique_ptr<Stage> MakeJsonParser(Fields paths) {
  return std::make_unique<JsonParser>(std::move(paths));
}
std::unique_ptr<Stage> MakeLogfmtParser(Fields fields) {
  return std::make_unique<LogfmtParser>(std::move(fields));
}

Result<std::unique_ptr<Stage>> MakePatternParser(std::string_view pattern) {
  std::vector<PatternParser::Piece> pieces;
  while (true) {
    const size_t open = pattern.find('<');
    const size_t close = open == std::string_view::npos ? open : pattern.find('>', open);
    const std::string_view name = close == std::string_view::npos
                                      ? std::string_view()
                                      : pattern.substr(open + 1, close - open - 1);
    if (!promql::IsLabelName(name)) {
      if (!pattern.empty()) pieces.push_back({std::string(pattern), {}});
      break;
    }
    if (open == 0 && !pieces.empty()) {
      return Fail(ErrorCode::kInvalidArgument,
                  "found consecutive capture <{}>, a pattern needs text in between", name);
    }
    pieces.push_back({std::string(pattern.substr(0, open)), std::string(name)});
    pattern.remove_prefix(close + 1);
    if (pattern.empty()) break;
  }
  if (pieces.empty() ||
      std::all_of(pieces.begin(), pieces.end(), [](const auto& p) { return p.capture.empty(); })) {
    return Fail(ErrorCode::kInvalidArgument, "at least one capture is required in a pattern");
  }
  return std::make_unique<PatternParser>(std::move(pieces));
}

Result<std::unique_ptr<Stage>> MakeRegexpParser(const std::string& pattern) {
  FAULTLINE_TRY(promql::CheckRegex(pattern));
  RE2::Options options;
  options.set_log_errors(false);
  auto regex = std::make_unique<RE2>(pattern, options);
  if (regex->NamedCapturingGroups().empty()) {
    return Fail(ErrorCode::kInvalidArgument, "at least one named capture must be supplied");
  }
  return std::make_unique<RegexpParser>(std::move(regex));
}

Result<std::unique_ptr<Stage>> MakeLineFormat(std::string_view template_text) {
  FAULTLINE_ASSIGN(LineTemplate text, LineTemplate::Parse(template_text));
  return std::make_unique<LineFormat>(std::move(text));
}

std::unique_ptr<Stage> MakeLabelRename(std::string to, std::string from) {
  return std::make_unique<LabelFormat>(std::move(to), LineTemplate::OfField(from), from);
}

Result<std::unique_ptr<Stage>> MakeLabelFormat(std::string to, std::string_view template_text) {
  FAULTLINE_ASSIGN(LineTemplate text, LineTemplate::Parse(template_text));
  return std::make_unique<LabelFormat>(std::move(to), std::move(text), std::string());
}

std::unique_ptr<Stage> MakeDropLabels(std::vector<std::string> names, bool keep_instead) {
  return std::make_unique<DropLabels>(std::move(names), keep_instead);
}

}  // namespace faultline::logql
