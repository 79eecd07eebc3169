// Rule files as their authors wrote them, YAML or JSON, as a tree that remembers where everything
// stood, so that an error names file, line, column and field. Bounded in size, depth and nodes.
// Fields is the strict reader of one map: what is not asked for by the end is an unknown field.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"

namespace faultline {

struct RuleNode {
  enum class Kind { kNull, kText, kList, kMap };
  Kind kind = Kind::kNull;
  std::string text;
  bool quoted = false;
  std::vector<RuleNode> items;                           // of a list
  std::vector<std::pair<std::string, RuleNode>> fields;  // of a map, in order
  int line = 1;
  int column = 1;

  const RuleNode* Find(std::string_view name) const;
};

// `name` stands for the document in errors.
Result<RuleNode> ParseRuleText(std::string_view text, std::string_view name);

// kInvalidArgument "name:line:column: path: reason".
template <typename... Args>
std::unexpected<Error> FailAt(std::string_view name, const RuleNode& node, std::string_view path,
                              fmt::format_string<Args...> format, Args&&... args) {
  return Fail(ErrorCode::kInvalidArgument, "{}:{}:{}: {}: {}", name, node.line, node.column, path,
              fmt::format(format, std::forward<Args>(args)...));
}

class Fields {
 public:
  // All outlive the reader. kInvalidArgument: not a map.
  static Result<Fields> Of(std::string_view name, std::string path, const RuleNode& node);

  const RuleNode& node() const { return *node_; }
  const std::string& path() const { return path_; }
  std::string PathOf(std::string_view field) const;
  bool Has(std::string_view field) const { return node_->Find(field) != nullptr; }
  // Marks the field as known; null when it is absent or null.
  const RuleNode* Take(std::string_view field);

  Result<std::string> Text(std::string_view field);  // required, not empty
  Result<std::string> TextOr(std::string_view field, std::string_view fallback);
  // `30s`; a bare number counts seconds if `seconds_allowed`.
  Result<int64_t> DurationOr(std::string_view field, int64_t fallback_ns,
                             bool seconds_allowed = false);
  Result<int64_t> NumberOr(std::string_view field, int64_t fallback, int64_t min, int64_t max);
  Result<bool> BoolOr(std::string_view field, bool fallback);
  Result<std::vector<std::string>> Texts(
      std::string_view field);  // a list of texts; empty when absent
  Result<const std::vector<RuleNode>*> ListOr(std::string_view field);  // nullptr when absent
  // Names the first field that nobody took.
  Result<void> Done() const;
  template <typename... Args>
  std::unexpected<Error> Wrong(std::string_view field, fmt::format_string<Args...> format,
                               Args&&... args) const {
    const RuleNode* at = node_->Find(field);
    return FailAt(name_, at == nullptr ? *node_ : *at, PathOf(field), format,
                  std::forward<Args>(args)...);
  }

 private:
  Fields(std::string_view name, std::string path, const RuleNode& node)
      : name_(name), path_(std::move(path)), node_(&node) {}

  std::string_view name_;
  std::string path_;
  const RuleNode* node_;
  std::vector<std::string> taken_;
};

}  // namespace faultline
