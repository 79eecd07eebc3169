#include "aggregator/experiments/branch_expression.h"

#include <string>
#include <variant>

#include "common/text.h"

namespace faultline {
namespace {

constexpr int kMaxDepth = 50;

using Value = std::variant<double, std::string>;

// Recursive descent; a value is a number (false is 0) or a text.
class Reader {
 public:
  Reader(std::string_view text, double exit_code, std::string_view out)
      : all_(text), rest_(text), exit_code_(exit_code), stdout_(out) {}

  Result<bool> Read() {
    FAULTLINE_ASSIGN(const Value value, Or(0));
    SkipBlanks();
    if (!rest_.empty()) return Bad("expected an operator");
    return Truth(value);
  }

 private:
  static bool Truth(const Value& value) {
    return std::holds_alternative<double>(value) ? std::get<double>(value) != 0
                                                 : !std::get<std::string>(value).empty();
  }
  std::unexpected<Error> Bad(std::string_view reason) const {
    return Fail(ErrorCode::kInvalidArgument, "column {}: {}", all_.size() - rest_.size() + 1,
                reason);
  }
  void SkipBlanks() {
    while (!rest_.empty() &&
           (rest_.front() == ' ' || rest_.front() == '\t' || rest_.front() == '\n'))
      rest_.remove_prefix(1);
  }
  bool Take(std::string_view word) {
    SkipBlanks();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  Result<Value> Or(int depth) {
    FAULTLINE_ASSIGN(Value left, And(depth));
    while (Take("||")) {
      FAULTLINE_ASSIGN(const Value right, And(depth));
      left = Truth(left) || Truth(right) ? 1.0 : 0.0;
    }
    return left;
  }
  Result<Value> And(int depth) {
    FAULTLINE_ASSIGN(Value left, Compare(depth));
    while (Take("&&")) {
      FAULTLINE_ASSIGN(const Value right, Compare(depth));
      left = Truth(left) && Truth(right) ? 1.0 : 0.0;
    }
    return left;
  }
  Result<Value> Compare(int depth) {
    FAULTLINE_ASSIGN(const Value left, Single(depth));
    for (const std::string_view sign : {"==", "!=", "<=", ">=", "<", ">", "contains"}) {
      if (!Take(sign)) continue;
      FAULTLINE_ASSIGN(const Value right, Single(depth));
      if (left.index() != right.index()) return Bad("a number and a text cannot be compared");
      if (sign == "contains") {
        if (left.index() == 0) return Bad("contains is for texts");
        return Value(std::get<std::string>(left).find(std::get<std::string>(right)) !=
                             std::string::npos
                         ? 1.0
                         : 0.0);
      }
      const bool holds = sign == "=="   ? left == right
                         : sign == "!=" ? left != right
                         : sign == "<=" ? left <= right
                         : sign == ">=" ? left >= right
                         : sign == "<"  ? left < right
                                        : left > right;
      return Value(holds ? 1.0 : 0.0);
    }
    return left;
  }
  Result<Value> Single(int depth) {
    if (depth > kMaxDepth) return Bad("nested too deeply");
    if (Take("(")) {
      FAULTLINE_ASSIGN(const Value inner, Or(depth + 1));
      if (!Take(")")) return Bad("expected )");
      return inner;
    }
    if (!rest_.starts_with("!=") && Take("!")) {
      FAULTLINE_ASSIGN(const Value inner, Single(depth + 1));
      return Value(Truth(inner) ? 0.0 : 1.0);
    }
    if (Take("exitCode")) return Value(exit_code_);
    if (Take("stdout")) return Value(std::string(stdout_));
    if (Take("true")) return Value(1.0);
    if (Take("false")) return Value(0.0);
    SkipBlanks();
    if (!rest_.empty() && (rest_.front() == '"' || rest_.front() == '\''))
      return Text(rest_.front());
    size_t length = 0;
    while (length < rest_.size() &&
           (std::string_view("+-.eE").find(rest_[length]) != std::string_view::npos ||
            (rest_[length] >= '0' && rest_[length] <= '9')))
      ++length;
    const auto number = ParseDouble(rest_.substr(0, length));
    if (length == 0 || !number) return Bad("expected exitCode, stdout, a number or a text");
    rest_.remove_prefix(length);
    return Value(*number);
  }
  Result<Value> Text(char quote) {
    std::string text;
    size_t i = 1;
    for (; i < rest_.size() && rest_[i] != quote; ++i) {
      if (rest_[i] == '\\' && i + 1 < rest_.size()) ++i;
      text.push_back(rest_[i]);
    }
    if (i >= rest_.size()) return Bad("the text has no end");
    rest_.remove_prefix(i + 1);
    return Value(std::move(text));
  }

  const std::string_view all_;
  std::string_view rest_;
  const double exit_code_;
  const std::string_view stdout_;
};

}  // namespace

Result<bool> EvaluateBranch(std::string_view expression, double exit_code,
                            std::string_view stdout_text) {
  if (Trim(expression).empty()) return true;
  return Reader(expression, exit_code, stdout_text).Read();
}

}  // namespace faultline
