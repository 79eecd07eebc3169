#include "aggregator/store/value_test.h"

#include <re2/re2.h>

#include <algorithm>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

namespace faultline {
namespace {

constexpr int64_t kMaxExpressionMemory = 8 << 20;
// Where RE2 must follow every alternative at once a byte costs about 2 ns an instruction: 40 µs at this size.
constexpr int kMaxInstructions = 20'000;
constexpr size_t kKeptExpressions = 256;
constexpr size_t kMaxKeptBytes = 4096;  // of one expression's text

// The texts of an expression that is nothing but alternatives: api|db\.local|(?:…) without anything that repeats.
std::optional<std::vector<std::string>> Alternatives(std::string_view pattern) {
  if (pattern.starts_with('(') && pattern.ends_with(')')) {
    pattern = pattern.substr(1, pattern.size() - 2);
    if (pattern.starts_with("?:")) pattern.remove_prefix(2);
  }
  std::vector<std::string> texts(1);
  for (size_t at = 0; at < pattern.size(); ++at) {
    const char c = pattern[at];
    if (c == '|') {
      texts.emplace_back();
    } else if (c == '\\' && at + 1 < pattern.size() && std::string_view(".+*?()[]{}^$|\\-/").contains(pattern[at + 1])) {
      texts.back() += pattern[++at];
    } else if (std::string_view(".+*?()[]{}^$\\").contains(c) || static_cast<unsigned char>(c) >= 0x80) {
      return std::nullopt;  // RE2 looks at what is not ASCII
    } else {
      texts.back() += c;
    }
  }
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return texts;
}

}  // namespace

struct ValueTest::Expression {
  std::vector<std::string> texts;
  std::unique_ptr<RE2> regex;  // null: equality with one of the texts

  bool Matches(std::string_view value) const {
    if (regex != nullptr) return RE2::FullMatch(re2::StringPiece(value.data(), value.size()), *regex);
    return std::ranges::binary_search(texts, value, {}, [](const auto& text) { return std::string_view(text); });
  }

  // The newest first; all under one lock, which is held for a look-up only.
  class Kept {
   public:
    std::shared_ptr<const Expression> Find(const std::string& text) {
      std::lock_guard lock(mutex_);
      const auto found = places_.find(text);
      if (found == places_.end()) return nullptr;
      order_.splice(order_.begin(), order_, found->second);
      return found->second->second;
    }
    void Keep(const std::string& text, std::shared_ptr<const Expression> expression) {
      if (text.size() > kMaxKeptBytes) return;
      std::lock_guard lock(mutex_);
      if (places_.contains(text)) return;
      order_.emplace_front(text, std::move(expression));
      places_[text] = order_.begin();
      if (order_.size() <= kKeptExpressions) return;
      places_.erase(order_.back().first);
      order_.pop_back();
    }

   private:
    using Order = std::list<std::pair<std::string, std::shared_ptr<const Expression>>>;
    std::mutex mutex_;
    Order order_;
    std::unordered_map<std::string, Order::iterator> places_;
  };
};

Result<std::shared_ptr<const ValueTest::Expression>> ValueTest::Compiled(const std::string& pattern) {
  static Expression::Kept kept;
  if (auto known = kept.Find(pattern)) return known;
  auto expression = std::make_shared<Expression>();
  if (auto texts = Alternatives(pattern)) {
    expression->texts = std::move(*texts);
  } else {
    RE2::Options options(RE2::Quiet);
    options.set_max_mem(kMaxExpressionMemory);
    expression->regex = std::make_unique<RE2>(pattern, options);
    if (!expression->regex->ok()) {
      return Fail(ErrorCode::kInvalidArgument, "bad regular expression '{}': {}", pattern,
                  expression->regex->error());
    }
    if (expression->regex->ProgramSize() > kMaxInstructions) {
      return Fail(ErrorCode::kResourceExhausted,
                  "a regular expression of {} bytes needs {} instructions, more than the limit of {}: "
                  "fewer alternatives, or alternatives without . * + ?",
                  pattern.size(), expression->regex->ProgramSize(), kMaxInstructions);
    }
  }
  kept.Keep(pattern, expression);
  return expression;
}

Result<ValueTest> ValueTest::Of(const LabelMatcher& matcher) {
  ValueTest test;
  test.negated_ = matcher.op == LabelMatcher::Op::kNotEqual || matcher.op == LabelMatcher::Op::kNotMatches;
  if (matcher.op == LabelMatcher::Op::kMatches || matcher.op == LabelMatcher::Op::kNotMatches) {
    auto compiled = Compiled(matcher.value);
    if (!compiled && matcher.name.empty()) return std::unexpected(compiled.error());
    if (!compiled) return Within("label " + matcher.name, compiled.error());
    test.expression_ = std::move(*compiled);
  } else {
    auto equal = std::make_shared<Expression>();
    equal->texts.push_back(matcher.value);
    test.expression_ = std::move(equal);
  }
  return test;
}

bool ValueTest::Keeps(std::string_view value) const { return expression_->Matches(value) != negated_; }

const std::vector<std::string>* ValueTest::texts() const {
  return expression_->regex == nullptr ? &expression_->texts : nullptr;
}

}  // namespace faultline
