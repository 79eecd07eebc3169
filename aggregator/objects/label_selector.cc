#include "aggregator/objects/label_selector.h"

#include <algorithm>

#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxRequirements = 100;

bool IsWordChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '/';
}

// A cursor over the text of a selector.
struct Cursor {
  std::string_view rest;

  void SkipBlanks() {
    while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\t')) rest.remove_prefix(1);
  }
  bool Take(std::string_view token) {
    SkipBlanks();
    if (!rest.starts_with(token)) return false;
    rest.remove_prefix(token.size());
    return true;
  }
  std::string Word() {
    SkipBlanks();
    size_t length = 0;
    while (length < rest.size() && IsWordChar(rest[length])) ++length;
    std::string word(rest.substr(0, length));
    rest.remove_prefix(length);
    return word;
  }
};

}  // namespace

Result<LabelSelector> LabelSelector::Parse(std::string_view text) {
  LabelSelector selector;
  Cursor cursor{text};
  const auto refuse = [&](std::string_view reason) {
    return Fail(ErrorCode::kInvalidArgument, "label selector '{}': {} at byte {}", text, reason,
                text.size() - cursor.rest.size());
  };
  cursor.SkipBlanks();
  if (cursor.rest.empty()) return selector;
  do {
    Requirement requirement;
    const bool negated = cursor.Take("!");
    requirement.key = cursor.Word();
    if (requirement.key.empty()) return refuse("expected a label name");
    if (selector.requirements_.size() >= kMaxRequirements) return refuse("more than 100 requirements");
    if (negated) {
      requirement.op = Op::kDoesNotExist;
    } else if (cursor.Take("!=")) {
      requirement.op = Op::kNotIn;
      requirement.values = {cursor.Word()};
    } else if (cursor.Take("==") || cursor.Take("=")) {
      requirement.op = Op::kIn;
      requirement.values = {cursor.Word()};
    } else {
      const std::string word = cursor.Word();
      if (word == "in" || word == "notin") {
        requirement.op = word == "in" ? Op::kIn : Op::kNotIn;
        if (!cursor.Take("(")) return refuse("expected (");
        do {
          requirement.values.push_back(cursor.Word());
        } while (cursor.Take(","));
        if (!cursor.Take(")")) return refuse("expected ) or ,");
      } else if (!word.empty()) {
        return refuse("expected =, !=, in or notin");
      }
    }
    selector.requirements_.push_back(std::move(requirement));
  } while (cursor.Take(","));
  cursor.SkipBlanks();
  if (!cursor.rest.empty()) return refuse("unexpected text");
  return selector;
}

Result<void> LabelSelector::AddExpression(std::string_view key, std::string_view operator_name,
                                          std::vector<std::string> values) {
  Requirement requirement{std::string(key), Op::kExists, std::move(values)};
  if (operator_name == "In") {
    requirement.op = Op::kIn;
  } else if (operator_name == "NotIn") {
    requirement.op = Op::kNotIn;
  } else if (operator_name == "DoesNotExist") {
    requirement.op = Op::kDoesNotExist;
  } else if (operator_name != "Exists") {
    return Fail(ErrorCode::kInvalidArgument, "operator {} is not In, NotIn, Exists or DoesNotExist",
                operator_name);
  }
  requirements_.push_back(std::move(requirement));
  return {};
}

void LabelSelector::AddEqual(std::string key, std::string value) {
  requirements_.push_back({std::move(key), Op::kIn, {std::move(value)}});
}

bool LabelSelector::Matches(const std::map<std::string, std::string>& labels) const {
  return std::ranges::all_of(requirements_, [&](const Requirement& requirement) {
    const auto label = labels.find(requirement.key);
    const bool there = label != labels.end();
    const bool among = there && std::ranges::find(requirement.values, label->second) != requirement.values.end();
    switch (requirement.op) {
      case Op::kIn: return among;
      case Op::kNotIn: return !among;
      case Op::kExists: return there;
      case Op::kDoesNotExist: return !there;
    }
    return false;
  });
}

}  // namespace faultline
