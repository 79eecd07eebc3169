// A template's tree is walked once per expansion. `and` and `or` are the only functions that do not evaluate all of their
// arguments, as in Go since 1.18.
#include "aggregator/query/text_template.h"

#include <algorithm>
#include <optional>

#include "aggregator/query/text_template_tree.h"
#include "common/text.h"

namespace faultline {
namespace {

using text_template::Bad;
using text_template::Command;
using text_template::Definitions;
using text_template::kMaxDepth;
using text_template::Node;
using text_template::Nodes;
using text_template::Operand;
using text_template::Pipeline;

constexpr size_t kMaxSteps = 100'000;
constexpr size_t kMaxOutputBytes = 1 << 20;

enum class Flow { kNext, kBreak, kContinue };

class Walker {
 public:
  Walker(const TemplateFunctions& functions, const Definitions& definitions, TextTemplate::Variables variables)
      : functions_(functions), definitions_(definitions), variables_(std::move(variables)) {}

  Result<std::string> Expand(const Nodes& nodes, const TemplateValue& dot) {
    variables_.emplace(variables_.begin(), "", dot);
    FAULTLINE_TRY(Walk(nodes, dot, 0));
    return std::move(out_);
  }

 private:
  Result<Flow> Walk(const Nodes& nodes, const TemplateValue& dot, size_t depth);
  Result<Flow> WalkNode(const Node& node, const TemplateValue& dot, size_t depth);
  Result<Flow> WalkRange(const Node& node, const TemplateValue& dot, size_t depth);
  Result<void> WalkTemplate(const std::string& name, const TemplateValue& dot, size_t depth);
  Result<TemplateValue> Evaluate(const Pipeline& pipeline, const TemplateValue& dot, size_t depth, bool sets = true);
  Result<TemplateValue> Run(const Command& command, const TemplateValue& dot, const TemplateValue* last, size_t depth);
  Result<TemplateValue> ValueOf(const Operand& operand, const TemplateValue& dot, size_t depth);
  Result<void> Set(const std::string& name, bool declares, TemplateValue value);

  const TemplateFunctions& functions_;
  const Definitions& definitions_;
  TextTemplate::Variables variables_;
  std::string out_;
  size_t steps_ = 0;
};

Result<TemplateValue> FieldOf(const TemplateValue& value, const std::string& field) {
  if (const auto* map = std::get_if<std::shared_ptr<const TemplateMap>>(&value.is)) {
    const auto found = (*map)->find(field);
    // A missing label is an empty text, as in a map of texts.
    return found == (*map)->end() ? TemplateValue(std::string()) : found->second;
  }
  return Bad("can't evaluate field {}", field);
}

Result<void> Walker::Set(const std::string& name, bool declares, TemplateValue value) {
  if (declares) {
    variables_.emplace_back(name, std::move(value));
    return {};
  }
  for (auto variable = variables_.rbegin(); variable != variables_.rend(); ++variable) {
    if (variable->first != name) continue;
    variable->second = std::move(value);
    return {};
  }
  return Bad("undefined variable \"${}\"", name);
}

Result<TemplateValue> Walker::ValueOf(const Operand& operand, const TemplateValue& dot, size_t depth) {
  TemplateValue value;
  switch (operand.kind) {
    case Operand::Kind::kLiteral:
      value = operand.literal;
      break;
    case Operand::Kind::kDot:
      value = dot;
      break;
    case Operand::Kind::kVariable: {
      const auto found = std::find_if(variables_.rbegin(), variables_.rend(),
                                      [&](const auto& variable) { return variable.first == operand.name; });
      if (found == variables_.rend()) return Bad("undefined variable \"${}\"", operand.name);
      value = found->second;
      break;
    }
    case Operand::Kind::kParen: {
      FAULTLINE_ASSIGN(value, Evaluate(*operand.paren, dot, depth + 1));
      break;
    }
    case Operand::Kind::kFunction: {
      FAULTLINE_ASSIGN(value, Run({operand}, dot, nullptr, depth + 1));
      return value;
    }
  }
  for (const std::string& field : operand.fields) {
    FAULTLINE_ASSIGN(value, FieldOf(value, field));
  }
  return value;
}

Result<TemplateValue> Walker::Run(const Command& command, const TemplateValue& dot, const TemplateValue* last,
                                  size_t depth) {
  if (++steps_ > kMaxSteps || depth > kMaxDepth) return Bad("the template does too much");
  const Operand& first = command.front();
  if (first.kind != Operand::Kind::kFunction) {
    if (command.size() > 1 || last != nullptr) return Bad("can't give argument to non-function");
    return ValueOf(first, dot, depth);
  }
  std::vector<TemplateValue> arguments;
  const bool is_and = first.name == "and", is_or = first.name == "or";
  for (size_t i = 1; i < command.size(); ++i) {
    FAULTLINE_ASSIGN(TemplateValue value, ValueOf(command[i], dot, depth));
    if ((is_and && !value.Truth()) || (is_or && value.Truth())) return value;
    arguments.push_back(std::move(value));
  }
  if (last != nullptr) arguments.push_back(*last);
  if (is_and || is_or) {
    if (arguments.empty()) return Bad("wrong number of args for {}", first.name);
    return arguments.back();
  }
  if (first.name == "tmpl") {
    if (arguments.size() != 2) return Bad("wrong number of args for tmpl");
    std::string outer;
    std::swap(outer, out_);
    const auto walked = WalkTemplate(arguments[0].Text(), arguments[1], depth + 1);
    std::swap(outer, out_);
    if (!walked) return std::unexpected(walked.error());
    return TemplateValue(outer);
  }
  const GoTemplateFunction own = FindGoTemplateFunction(first.name);
  auto result = own != nullptr ? own(arguments) : functions_.Call(first.name, arguments);
  if (!result) return Bad("error calling {}: {}", first.name, result.error().message);
  FAULTLINE_ASSIGN(TemplateValue value, std::move(result));
  for (const std::string& field : first.fields) {
    FAULTLINE_ASSIGN(value, FieldOf(value, field));
  }
  return value;
}

Result<TemplateValue> Walker::Evaluate(const Pipeline& pipeline, const TemplateValue& dot, size_t depth, bool sets) {
  TemplateValue value;
  for (size_t i = 0; i < pipeline.commands.size(); ++i) {
    const TemplateValue last = value;
    FAULTLINE_ASSIGN(value, Run(pipeline.commands[i], dot, i == 0 ? nullptr : &last, depth));
  }
  if (sets && pipeline.variables.size() == 1) FAULTLINE_TRY(Set(pipeline.variables[0], pipeline.declares, value));
  return value;
}

Result<void> Walker::WalkTemplate(const std::string& name, const TemplateValue& dot, size_t depth) {
  const auto found = definitions_.find(name);
  if (found == definitions_.end()) return Bad("template \"{}\" not defined", name);
  auto variables = std::move(variables_);
  variables_ = {{"", dot}};
  const auto walked = Walk(found->second, dot, depth + 1);
  variables_ = std::move(variables);
  if (!walked) return std::unexpected(walked.error());
  return {};
}

Result<Flow> Walker::WalkRange(const Node& node, const TemplateValue& dot, size_t depth) {
  FAULTLINE_ASSIGN(const TemplateValue over, Evaluate(node.pipeline, dot, depth, false));
  std::vector<std::pair<TemplateValue, TemplateValue>> entries;
  if (const auto* list = std::get_if<std::shared_ptr<const TemplateList>>(&over.is)) {
    for (size_t i = 0; i < (*list)->size(); ++i) entries.emplace_back(static_cast<int64_t>(i), (**list)[i]);
  } else if (const auto* map = std::get_if<std::shared_ptr<const TemplateMap>>(&over.is)) {
    for (const auto& [key, value] : **map) entries.emplace_back(key, value);
  } else if (!std::holds_alternative<std::monostate>(over.is)) {
    return Bad("range can't iterate over {}", over.Text());
  }
  if (entries.empty()) return Walk(node.otherwise, dot, depth + 1);
  const std::vector<std::string>& names = node.pipeline.variables;
  const size_t outer = variables_.size();
  for (const auto& [key, value] : entries) {
    if (names.size() == 2) FAULTLINE_TRY(Set(names[0], node.pipeline.declares, key));
    if (!names.empty()) FAULTLINE_TRY(Set(names.back(), node.pipeline.declares, value));
    FAULTLINE_ASSIGN(const Flow flow, Walk(node.body, value, depth + 1));
    variables_.resize(std::max(outer, size_t{1}));
    if (flow == Flow::kBreak) break;
  }
  return Flow::kNext;
}

Result<Flow> Walker::WalkNode(const Node& node, const TemplateValue& dot, size_t depth) {
  switch (node.kind) {
    case Node::Kind::kText:
      out_ += node.text;
      return Flow::kNext;
    case Node::Kind::kAction: {
      FAULTLINE_ASSIGN(const TemplateValue value, Evaluate(node.pipeline, dot, depth));
      if (node.pipeline.variables.empty()) out_ += value.Text();
      return Flow::kNext;
    }
    case Node::Kind::kIf:
    case Node::Kind::kWith: {
      const size_t outer = variables_.size();
      FAULTLINE_ASSIGN(const TemplateValue value, Evaluate(node.pipeline, dot, depth));
      const bool truth = value.Truth();
      auto flow = Walk(truth ? node.body : node.otherwise, truth && node.kind == Node::Kind::kWith ? value : dot, depth + 1);
      if (variables_.size() > outer) variables_.resize(outer);
      return flow;
    }
    case Node::Kind::kRange:
      return WalkRange(node, dot, depth);
    case Node::Kind::kTemplate: {
      TemplateValue argument;
      if (!node.pipeline.commands.empty()) {
        FAULTLINE_ASSIGN(argument, Evaluate(node.pipeline, dot, depth));
      }
      FAULTLINE_TRY(WalkTemplate(node.text, argument, depth));
      return Flow::kNext;
    }
    case Node::Kind::kBreak:
      return Flow::kBreak;
    case Node::Kind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Result<Flow> Walker::Walk(const Nodes& nodes, const TemplateValue& dot, size_t depth) {
  if (depth > kMaxDepth) return Bad("templates nest deeper than {}", kMaxDepth);
  const size_t outer = variables_.size();
  Flow flow = Flow::kNext;
  for (const Node& node : nodes) {
    if (++steps_ > kMaxSteps || out_.size() > kMaxOutputBytes) return Bad("the template does too much");
    FAULTLINE_ASSIGN(flow, WalkNode(node, dot, depth));
    if (flow != Flow::kNext) break;
  }
  if (variables_.size() > outer && depth > 0) variables_.resize(outer);
  return flow;
}

}  // namespace

TemplateValue MapOf(const Labels& labels) {
  TemplateMap map;
  for (const auto& [name, value] : labels) map[name] = value;
  return std::make_shared<const TemplateMap>(std::move(map));
}

bool TemplateValue::Truth() const {
  if (const auto* boolean = std::get_if<bool>(&is)) return *boolean;
  if (const auto* integer = std::get_if<int64_t>(&is)) return *integer != 0;
  if (const auto* number = std::get_if<double>(&is)) return *number != 0;
  if (const auto* text = std::get_if<std::string>(&is)) return !text->empty();
  if (const auto* map = std::get_if<std::shared_ptr<const TemplateMap>>(&is)) return !(*map)->empty();
  if (const auto* list = std::get_if<std::shared_ptr<const TemplateList>>(&is)) return !(*list)->empty();
  return false;
}

std::string TemplateValue::Text() const {
  if (const auto* boolean = std::get_if<bool>(&is)) return *boolean ? "true" : "false";
  if (const auto* integer = std::get_if<int64_t>(&is)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&is)) return GoNumberText(*number);
  if (const auto* text = std::get_if<std::string>(&is)) return *text;
  std::string text;
  if (const auto* map = std::get_if<std::shared_ptr<const TemplateMap>>(&is)) {
    for (const auto& [key, value] : **map) text += fmt::format("{}{}:{}", text.empty() ? "" : " ", key, value.Text());
    return "map[" + text + "]";
  }
  if (const auto* list = std::get_if<std::shared_ptr<const TemplateList>>(&is)) {
    for (const TemplateValue& value : **list) text += (text.empty() ? "" : " ") + value.Text();
    return "[" + text + "]";
  }
  return "<no value>";
}

struct TextTemplate::Tree {
  text_template::Nodes nodes;
  text_template::Definitions definitions;
};

Result<TextTemplate> TextTemplate::Parse(std::string_view text, const TemplateFunctions& functions) {
  auto tree = std::make_shared<Tree>();
  FAULTLINE_ASSIGN(tree->nodes, text_template::Read(text, functions, tree->definitions));
  TextTemplate parsed;
  parsed.tree_ = std::move(tree);
  return parsed;
}

Result<std::string> TextTemplate::Expand(const TemplateValue& dot, Variables variables, const TemplateFunctions& functions) const {
  return Walker(functions, tree_->definitions, std::move(variables)).Expand(tree_->nodes, dot);
}

}  // namespace faultline
