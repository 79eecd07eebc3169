#include "agent/checks/contracts/rule_text.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "common/config.h"
#include "common/text.h"
#include "common/yaml_documents.h"

namespace faultline {
namespace {

constexpr size_t kMaxBytes = 1 << 20;
constexpr int kMaxDepth = 32;
constexpr size_t kMaxNodes = 100'000;

Result<void> Copy(const YAML::Node& from, std::string_view name, int depth, size_t& nodes,
                  RuleNode& to) {
  to.line = from.Mark().line + 1;
  to.column = from.Mark().column + 1;
  if (depth > kMaxDepth) return FailAt(name, to, "document", "nested deeper than {}", kMaxDepth);
  // Aliases are copied out: a small text may stand for a very large one.
  if (++nodes > kMaxNodes) return FailAt(name, to, "document", "more than {} values", kMaxNodes);
  switch (from.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      return {};
    case YAML::NodeType::Scalar:
      to.kind = RuleNode::Kind::kText;
      to.text = from.Scalar();
      to.quoted = from.Tag() == "!";
      return {};
    case YAML::NodeType::Sequence:
      to.kind = RuleNode::Kind::kList;
      for (const YAML::Node& item : from) {
        FAULTLINE_TRY(Copy(item, name, depth + 1, nodes, to.items.emplace_back()));
      }
      return {};
    case YAML::NodeType::Map:
      to.kind = RuleNode::Kind::kMap;
      for (const auto& entry : from) {
        RuleNode key;
        FAULTLINE_TRY(Copy(entry.first, name, depth + 1, nodes, key));
        if (key.kind != RuleNode::Kind::kText)
          return FailAt(name, key, "document", "a field's name must be text");
        if (to.Find(key.text) != nullptr) return FailAt(name, key, key.text, "is there twice");
        auto& [field, value] = to.fields.emplace_back(key.text, RuleNode());
        FAULTLINE_TRY(Copy(entry.second, name, depth + 1, nodes, value));
        if (value.kind == RuleNode::Kind::kNull) value.line = key.line, value.column = key.column;
      }
      return {};
  }
  return {};
}

}  // namespace

const RuleNode* RuleNode::Find(std::string_view name) const {
  for (const auto& [field, value] : fields) {
    if (field == name) return &value;
  }
  return nullptr;
}

Result<RuleNode> ParseRuleText(std::string_view text, std::string_view name) {
  if (text.size() > kMaxBytes) {
    return Fail(ErrorCode::kInvalidArgument, "{}:1:1: document: {} bytes, the limit is {}", name,
                text.size(), kMaxBytes);
  }
  std::string copy(text);
  // JSON may be indented with tabs, which YAML refuses; inside its strings there are none.
  if (Trim(copy).starts_with('{') || Trim(copy).starts_with('['))
    std::ranges::replace(copy, '\t', ' ');
  FAULTLINE_TRY(CheckYamlDocuments(copy, 1, name));
  RuleNode root;
  size_t nodes = 0;
  try {
    FAULTLINE_TRY(Copy(YAML::Load(copy), name, 0, nodes, root));
  } catch (const YAML::Exception& error) {
    return Fail(ErrorCode::kInvalidArgument, "{}:{}:{}: document: {}", name, error.mark.line + 1,
                error.mark.column + 1, error.msg);
  }
  return root;
}

Result<Fields> Fields::Of(std::string_view name, std::string path, const RuleNode& node) {
  if (node.kind != RuleNode::Kind::kMap) return FailAt(name, node, path, "must be a map of fields");
  return Fields(name, std::move(path), node);
}

std::string Fields::PathOf(std::string_view field) const {
  return path_.empty() ? std::string(field) : fmt::format("{}.{}", path_, field);
}

const RuleNode* Fields::Take(std::string_view field) {
  taken_.emplace_back(field);
  const RuleNode* node = node_->Find(field);
  return node == nullptr || node->kind == RuleNode::Kind::kNull ? nullptr : node;
}

Result<std::string> Fields::TextOr(std::string_view field, std::string_view fallback) {
  const RuleNode* node = Take(field);
  if (node == nullptr) return std::string(fallback);
  if (node->kind != RuleNode::Kind::kText) return Wrong(field, "must be text");
  if (node->text.size() > 8192) return Wrong(field, "is longer than 8192 bytes");
  if (node->text.find('\0') != std::string::npos) return Wrong(field, "has a NUL in it");
  return node->text;
}

Result<std::string> Fields::Text(std::string_view field) {
  FAULTLINE_ASSIGN(std::string text, TextOr(field, ""));
  if (text.empty()) return Wrong(field, "is missing");
  return text;
}

Result<int64_t> Fields::DurationOr(std::string_view field, int64_t fallback_ns,
                                   bool seconds_allowed) {
  FAULTLINE_ASSIGN(const std::string text, TextOr(field, ""));
  if (text.empty()) return fallback_ns;
  if (const auto seconds = ParseUint(text);
      seconds && seconds_allowed && *seconds < 1'000'000'000) {
    return static_cast<int64_t>(*seconds) * 1'000'000'000;
  }
  const auto ns = ParseDurationNs(text);
  if (!ns || *ns < 0) return Wrong(field, "`{}` is no duration, as 30s or 5m", text);
  return *ns;
}

Result<int64_t> Fields::NumberOr(std::string_view field, int64_t fallback, int64_t min,
                                 int64_t max) {
  FAULTLINE_ASSIGN(const std::string text, TextOr(field, ""));
  if (text.empty()) return fallback;
  const auto number = ParseInt(text);
  if (!number || *number < min || *number > max)
    return Wrong(field, "`{}` is no number of {} to {}", text, min, max);
  return *number;
}

Result<bool> Fields::BoolOr(std::string_view field, bool fallback) {
  FAULTLINE_ASSIGN(const std::string text, TextOr(field, ""));
  if (text.empty()) return fallback;
  if (text != "true" && text != "false")
    return Wrong(field, "`{}` is neither true nor false", text);
  return text == "true";
}

Result<std::vector<std::string>> Fields::Texts(std::string_view field) {
  std::vector<std::string> texts;
  FAULTLINE_ASSIGN(const std::vector<RuleNode>* items, ListOr(field));
  if (items == nullptr) return texts;
  for (const RuleNode& item : *items) {
    if (item.kind != RuleNode::Kind::kText || item.text.find('\0') != std::string::npos) {
      return FailAt(name_, item, PathOf(field), "must be a list of texts");
    }
    texts.push_back(item.text);
  }
  return texts;
}

Result<const std::vector<RuleNode>*> Fields::ListOr(std::string_view field) {
  const RuleNode* node = Take(field);
  if (node == nullptr) return nullptr;
  if (node->kind != RuleNode::Kind::kList) return Wrong(field, "must be a list");
  return &node->items;
}

Result<void> Fields::Done() const {
  for (const auto& [field, value] : node_->fields) {
    if (std::ranges::find(taken_, field) != taken_.end()) continue;
    std::vector<std::string_view> known(taken_.begin(), taken_.end());
    const std::string_view near = NearestName(field, known);
    if (near.empty()) return FailAt(name_, value, PathOf(field), "unknown field");
    return FailAt(name_, value, PathOf(field), "unknown field; is `{}` meant?", near);
  }
  return {};
}

}  // namespace faultline
