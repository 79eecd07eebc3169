// Recursive descent over the text itself. Nesting is bounded.
#include <cctype>

#include "aggregator/traces/traceql.h"
#include "aggregator/traces/traceql_tree.h"
#include "common/text.h"

namespace faultline::traces {
namespace {

using namespace std::literals;
using traceql_tree::Aggregate;
using traceql_tree::Compare;
using traceql_tree::Condition;
using traceql_tree::Literal;
using traceql_tree::SpanSet;

constexpr size_t kMaxQueryBytes = 64 << 10;
constexpr int kMaxDepth = 100;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<std::shared_ptr<const SpanSet>> Query() {
    FAULTLINE_ASSIGN(std::shared_ptr<SpanSet> set, Sets());
    while (Take("|")) {
      if (Sees("{")) {
        auto both = std::make_shared<SpanSet>();
        both->kind = SpanSet::Kind::kAnd;
        both->left = std::move(set);
        FAULTLINE_ASSIGN(both->right, Sets());
        set = std::move(both);
        continue;
      }
      if (TakeWord("select")) {
        while (at_ < text_.size() && text_[at_] != ')') ++at_;
        if (!Take(")")) return Unexpected("a list of fields");
        continue;
      }
      FAULTLINE_ASSIGN(Aggregate aggregate, ReadAggregate());
      set->aggregates.push_back(std::move(aggregate));
    }
    if (!AtEnd()) return Unexpected("the end, or a stage");
    return set;
  }

 private:
  void Skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool AtEnd() {
    Skip();
    return at_ == text_.size();
  }
  bool Sees(std::string_view token) {
    Skip();
    return text_.substr(at_).starts_with(token);
  }
  bool Take(std::string_view token) {
    if (!Sees(token)) return false;
    if (token == "|" && text_.substr(at_).starts_with("||")) return false;
    if (token == ">" && text_.substr(at_).starts_with(">=")) return false;
    at_ += token.size();
    return true;
  }
  bool TakeWord(std::string_view word) {
    Skip();
    const size_t begin = at_;
    if (Word() == word) return true;
    at_ = begin;
    return false;
  }
  static bool IsWord(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' || c == ':' || c == '/';
  }
  std::string_view Word() {
    Skip();
    const size_t begin = at_;
    while (at_ < text_.size() && IsWord(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  std::unexpected<Error> Unexpected(std::string_view wanted) {
    Skip();
    const std::string_view found = text_.substr(at_, 20);
    return Fail(ErrorCode::kInvalidArgument, "1:{}: parse error: unexpected {}, expected {}", at_ + 1,
                found.empty() ? "end of input"s : fmt::format("'{}'", ReplaceInvalidUtf8(found)), wanted);
  }
  Result<void> Deeper() {
    if (++depth_ > kMaxDepth) return Fail(ErrorCode::kInvalidArgument, "the query nests deeper than {}", kMaxDepth);
    return {};
  }

  // {…} joined by && || > >>, left to right.
  Result<std::shared_ptr<SpanSet>> Sets() {
    FAULTLINE_TRY(Deeper());
    FAULTLINE_ASSIGN(std::shared_ptr<SpanSet> left, OneSet());
    while (true) {
      auto joined = std::make_shared<SpanSet>();
      if (Take("&&")) {
        joined->kind = SpanSet::Kind::kAnd;
      } else if (Take("||")) {
        joined->kind = SpanSet::Kind::kOr;
      } else if (Take(">>")) {
        joined->kind = SpanSet::Kind::kDescendant;
      } else if (Take(">")) {
        joined->kind = SpanSet::Kind::kChild;
      } else {
        --depth_;
        return left;
      }
      joined->left = std::move(left);
      FAULTLINE_ASSIGN(joined->right, OneSet());
      left = std::move(joined);
    }
  }
  Result<std::shared_ptr<SpanSet>> OneSet() {
    if (Take("(")) {
      FAULTLINE_ASSIGN(std::shared_ptr<SpanSet> set, Sets());
      if (!Take(")")) return Unexpected("')'");
      return set;
    }
    if (!Take("{")) return Unexpected("'{'");
    auto set = std::make_shared<SpanSet>();
    if (Take("}")) {
      set->filter = std::make_unique<Condition>();
      return set;
    }
    FAULTLINE_ASSIGN(set->filter, Or());
    if (!Take("}")) return Unexpected("'}'");
    return set;
  }

  Result<std::unique_ptr<Condition>> Or() {
    FAULTLINE_TRY(Deeper());
    FAULTLINE_ASSIGN(std::unique_ptr<Condition> left, And());
    while (Take("||")) {
      FAULTLINE_ASSIGN(std::unique_ptr<Condition> right, And());
      left = Joined(Condition::Kind::kOr, std::move(left), std::move(right));
    }
    --depth_;
    return left;
  }
  Result<std::unique_ptr<Condition>> And() {
    FAULTLINE_ASSIGN(std::unique_ptr<Condition> left, Term());
    while (Take("&&")) {
      FAULTLINE_ASSIGN(std::unique_ptr<Condition> right, Term());
      left = Joined(Condition::Kind::kAnd, std::move(left), std::move(right));
    }
    return left;
  }
  static std::unique_ptr<Condition> Joined(Condition::Kind kind, std::unique_ptr<Condition> left,
                                           std::unique_ptr<Condition> right) {
    auto joined = std::make_unique<Condition>();
    joined->kind = kind;
    joined->left = std::move(left);
    joined->right = std::move(right);
    return joined;
  }
  Result<std::unique_ptr<Condition>> Term() {
    if (Take("(")) {
      FAULTLINE_ASSIGN(std::unique_ptr<Condition> inner, Or());
      if (!Take(")")) return Unexpected("')'");
      return inner;
    }
    if (Sees("!") && !Sees("!=") && !Sees("!~")) {
      Take("!");
      FAULTLINE_TRY(Deeper());
      FAULTLINE_ASSIGN(std::unique_ptr<Condition> inner, Term());
      --depth_;
      return Joined(Condition::Kind::kNot, std::move(inner), nullptr);
    }
    auto condition = std::make_unique<Condition>();
    FAULTLINE_ASSIGN(condition->field, Field());
    if (condition->field == "true" || condition->field == "false") {
      if (condition->field == "true") return condition;
      return Joined(Condition::Kind::kNot, std::move(condition), nullptr);
    }
    condition->kind = Condition::Kind::kCompare;
    Skip();
    if (at_ == text_.size() || text_[at_] == '}' || text_[at_] == '&' || text_[at_] == '|' || text_[at_] == ')') {
      condition->literal.text = "true";  // { .flag }
      return condition;
    }
    FAULTLINE_ASSIGN(condition->compare, Comparison());
    FAULTLINE_ASSIGN(condition->literal, ReadLiteral());
    if (condition->compare == Compare::kMatches || condition->compare == Compare::kNotMatches) {
      RE2::Options options;
      options.set_log_errors(false);
      options.set_max_mem(4 << 20);
      auto pattern = std::make_shared<RE2>(condition->literal.text, options);
      if (!pattern->ok()) return Fail(ErrorCode::kInvalidArgument, "invalid regex: {}", pattern->error());
      condition->pattern = std::move(pattern);
    }
    return condition;
  }
  Result<std::string> Field() {
    Skip();
    std::string name;
    while (at_ < text_.size() && (IsWord(text_[at_]) || text_[at_] == '"')) {
      if (text_[at_] == '"') {
        FAULTLINE_ASSIGN(const std::string quoted, Quoted());
        name += quoted;
      } else {
        name += text_[at_++];
      }
    }
    if (name.empty()) return Unexpected("a field");
    return name;
  }
  Result<Compare> Comparison() {
    Skip();
    static constexpr std::pair<std::string_view, Compare> kTokens[] = {
        {"=~", Compare::kMatches},     {"!~", Compare::kNotMatches},   {"!=", Compare::kNotEqual},
        {"<=", Compare::kLessEqual},   {">=", Compare::kGreaterEqual}, {"=", Compare::kEqual},
        {"<", Compare::kLess},         {">", Compare::kGreater}};
    for (const auto& [token, compare] : kTokens) {
      if (!text_.substr(at_).starts_with(token)) continue;
      at_ += token.size();
      return compare;
    }
    return Unexpected("a comparison");
  }
  Result<std::string> Quoted() {
    const char quote = text_[at_++];
    std::string value;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\\' && quote == '"' && at_ + 1 < text_.size()) {
        const char next = text_[++at_];
        value += next == 'n' ? '\n' : next == 't' ? '\t' : next;
        if (next != 'n' && next != 't' && next != '"' && next != '\\') value.insert(value.size() - 1, 1, '\\');
        ++at_;
      } else {
        value += text_[at_++];
      }
    }
    if (at_ == text_.size()) return Unexpected("the end of a text in quotes");
    ++at_;
    return value;
  }
  Result<Literal> ReadLiteral() {
    Skip();
    Literal literal;
    if (at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '`')) {
      FAULTLINE_ASSIGN(literal.text, Quoted());
      return literal;
    }
    literal.text = Word();
    if (literal.text.empty()) return Unexpected("a value");
    literal.is_nil = literal.text == "nil";
    if (const auto number = ParseDouble(literal.text)) {
      literal.number = *number;
      literal.is_number = true;
    } else if (const auto duration = ReadDuration(literal.text)) {
      literal.number = *duration;
      literal.is_number = true;
    }
    return literal;
  }
  // 1.5s, 300ms, 1h30m; to nanoseconds.
  static std::optional<double> ReadDuration(std::string_view text) {
    size_t digits = 0;
    while (digits < text.size() && (std::isdigit(static_cast<unsigned char>(text[digits])) || text[digits] == '.')) ++digits;
    const auto count = ParseDouble(text.substr(0, digits));
    if (!count) return std::nullopt;
    const std::string_view unit = text.substr(digits);
    if (const auto one = ParseDurationNs("1" + std::string(unit))) return *count * static_cast<double>(*one);
    if (const auto whole = ParseDurationNs(text)) return static_cast<double>(*whole);
    return std::nullopt;
  }
  Result<Aggregate> ReadAggregate() {
    Aggregate aggregate;
    aggregate.function = Word();
    if (aggregate.function != "count" && aggregate.function != "min" && aggregate.function != "max" &&
        aggregate.function != "avg" && aggregate.function != "sum") {
      return Unexpected("count, min, max, avg, sum or select");
    }
    if (!Take("(")) return Unexpected("'('");
    if (!Take(")")) {
      FAULTLINE_ASSIGN(aggregate.field, Field());
      if (!Take(")")) return Unexpected("')'");
    }
    FAULTLINE_ASSIGN(aggregate.compare, Comparison());
    FAULTLINE_ASSIGN(const Literal literal, ReadLiteral());
    if (!literal.is_number) return Unexpected("a number");
    aggregate.number = literal.number;
    return aggregate;
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<TraceQuery> TraceQuery::Parse(std::string_view text) {
  if (text.size() > kMaxQueryBytes) return Fail(ErrorCode::kInvalidArgument, "the query is longer than {} bytes", kMaxQueryBytes);
  TraceQuery query;
  FAULTLINE_ASSIGN(query.tree_, Parser(Trim(text).empty() ? "{}" : text).Query());
  return query;
}

Result<TraceQuery> TraceQuery::FromTags(std::string_view tags) {
  std::string text;
  size_t at = 0;
  while (at < tags.size()) {
    const size_t equals = tags.find('=', at);
    if (equals == std::string_view::npos) {
      if (Trim(tags.substr(at)).empty()) break;
      return Fail(ErrorCode::kInvalidArgument, "tags: '{}' has no value", ReplaceInvalidUtf8(tags.substr(at)));
    }
    const std::string_view name = Trim(tags.substr(at, equals - at));
    std::string value;
    at = equals + 1;
    const bool quoted = at < tags.size() && tags[at] == '"';
    if (quoted) ++at;
    while (at < tags.size() && (quoted ? tags[at] != '"' : tags[at] != ' ')) {
      if (quoted && tags[at] == '\\' && at + 1 < tags.size()) ++at;
      value += tags[at++];
    }
    ++at;
    std::string escaped;
    for (const char c : value) {
      if (c == '"' || c == '\\') escaped += '\\';
      escaped += c;
    }
    const bool intrinsic = name == "name" || name == "status" || name == "kind";
    text += fmt::format("{}{}{} = \"{}\"", text.empty() ? "" : " && ", intrinsic ? "" : ".", name, escaped);
  }
  return Parse("{" + text + "}");
}

}  // namespace faultline::traces
