// Template text to its tree.
#include <algorithm>
#include <cctype>
#include <optional>

#include "aggregator/query/promql_parser.h"
#include "aggregator/query/text_template_tree.h"
#include "common/text.h"

namespace faultline::text_template {
namespace {

bool IsWordChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

class Reader {
 public:
  Reader(std::string_view text, const TemplateFunctions& functions) : text_(text), functions_(functions) {}

  Result<Nodes> All(Definitions& definitions) {
    definitions_ = &definitions;
    std::string ended_by;
    FAULTLINE_ASSIGN(Nodes nodes, List(ended_by, 0));
    if (!ended_by.empty()) return Bad("unexpected {{{{{}}}}}", ended_by);
    return nodes;
  }

 private:
  // Nodes up to {{end}}, {{else …}} or the end; `ended_by` says which, and the rest of an else is the next action.
  Result<Nodes> List(std::string& ended_by, size_t depth);
  Result<void> Block(std::string_view word, Nodes& nodes, size_t depth);
  Result<void> Define(size_t depth);
  Result<std::optional<std::string_view>> NextAction(Nodes& nodes);

  Result<Pipeline> ReadPipeline(char until, size_t depth);
  Result<Operand> ReadOperand(size_t depth);
  Result<TemplateValue> ReadNumber();
  void Blanks() {
    while (!action_.empty() && std::isspace(static_cast<unsigned char>(action_[0])) != 0) action_.remove_prefix(1);
  }
  std::string_view Word() {
    Blanks();
    size_t size = 0;
    while (size < action_.size() && IsWordChar(action_[size])) ++size;
    const std::string_view word = action_.substr(0, size);
    action_.remove_prefix(size);
    return word;
  }
  Result<std::string> QuotedWord() {
    Blanks();
    const size_t end = action_.empty() ? 0 : QuotedEnd(action_, 0);
    if (end == 0) return Bad("expected a name in quotes");
    FAULTLINE_ASSIGN(std::string name, promql::Unquote(action_.substr(0, end)));
    action_.remove_prefix(end);
    return name;
  }
  Result<void> AtEnd() {
    Blanks();
    if (!action_.empty()) return Bad("unexpected \"{}\" in an action", action_.substr(0, 20));
    return {};
  }
  // After the text in quotes that begins at `at`; 0 if there is none.
  static size_t QuotedEnd(std::string_view text, size_t at) {
    const char quote = text[at];
    if (quote != '"' && quote != '`' && quote != '\'') return 0;
    for (size_t i = at + 1; i < text.size(); ++i) {
      if (text[i] == '\\' && quote != '`') {
        ++i;
      } else if (text[i] == quote) {
        return i + 1;
      }
    }
    return 0;
  }

  std::string_view text_;
  const TemplateFunctions& functions_;
  std::string_view action_;  // what is left of the present action
  bool trim_next_ = false;
  Definitions* definitions_ = nullptr;
};

std::string_view TrimRight(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text;
}

// Text up to the next action becomes a node; the action's inside is returned, without comments.
Result<std::optional<std::string_view>> Reader::NextAction(Nodes& nodes) {
  while (true) {
    const size_t open = text_.find("{{");
    std::string_view text = text_.substr(0, open);
    if (trim_next_) text = text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    trim_next_ = false;
    text_.remove_prefix(open == std::string_view::npos ? text_.size() : open + 2);
    const bool trims = open != std::string_view::npos && text_.size() > 1 && text_[0] == '-' &&
                       std::isspace(static_cast<unsigned char>(text_[1])) != 0;
    if (trims) text_.remove_prefix(2), text = TrimRight(text);
    if (!text.empty()) nodes.push_back({.kind = Node::Kind::kText, .text = std::string(text)});
    if (open == std::string_view::npos) return std::nullopt;
    const bool comment = text_.starts_with("/*");
    if (comment) {
      const size_t end = text_.find("*/");
      if (end == std::string_view::npos) return Bad("unclosed comment");
      text_.remove_prefix(end + 2);
    }
    size_t at = 0;
    while (at < text_.size() && !text_.substr(at).starts_with("}}")) {
      const size_t quoted = QuotedEnd(text_, at);
      if (quoted == 0 && (text_[at] == '"' || text_[at] == '`')) return Bad("unterminated quoted string");
      at = quoted != 0 ? quoted : at + 1;
    }
    if (at >= text_.size()) return Bad("unclosed action");
    std::string_view action = text_.substr(0, at);
    text_.remove_prefix(at + 2);
    if (action.size() > 1 && action.back() == '-' &&
        std::isspace(static_cast<unsigned char>(action[action.size() - 2])) != 0) {
      action.remove_suffix(1);
      trim_next_ = true;
    } else if (action == "-") {
      action = {};
      trim_next_ = true;
    }
    if (!comment) return action;
    if (!Trim(action).empty()) return Bad("comment ends before closing delimiter");
  }
}

Result<Nodes> Reader::List(std::string& ended_by, size_t depth) {
  if (depth > kMaxDepth) return Bad("blocks nest deeper than {}", kMaxDepth);
  Nodes nodes;
  while (true) {
    FAULTLINE_ASSIGN(const std::optional<std::string_view> action, NextAction(nodes));
    if (!action) {
      ended_by.clear();
      return nodes;
    }
    action_ = *action;
    const std::string_view before = action_;
    const std::string_view word = Word();
    if (word == "end" || word == "else") {
      ended_by = word;
      return nodes;
    }
    if (word == "if" || word == "range" || word == "with") {
      FAULTLINE_TRY(Block(word, nodes, depth));
    } else if (word == "define" || word == "block") {
      FAULTLINE_TRY(Define(depth));
    } else if (word == "template") {
      Node node{.kind = Node::Kind::kTemplate};
      FAULTLINE_ASSIGN(node.text, QuotedWord());
      Blanks();
      if (!action_.empty()) {
        FAULTLINE_ASSIGN(node.pipeline, ReadPipeline('\0', depth));
      }
      nodes.push_back(std::move(node));
    } else if (word == "break" || word == "continue") {
      nodes.push_back({.kind = word == "break" ? Node::Kind::kBreak : Node::Kind::kContinue});
    } else {
      action_ = before;
      Node node{.kind = Node::Kind::kAction};
      FAULTLINE_ASSIGN(node.pipeline, ReadPipeline('\0', depth));
      nodes.push_back(std::move(node));
    }
  }
}

Result<void> Reader::Block(std::string_view word, Nodes& nodes, size_t depth) {
  Node node{.kind = word == "if" ? Node::Kind::kIf : word == "range" ? Node::Kind::kRange : Node::Kind::kWith};
  const std::string name(word);
  FAULTLINE_ASSIGN(node.pipeline, ReadPipeline('\0', depth));
  std::string ended_by;
  FAULTLINE_ASSIGN(node.body, List(ended_by, depth + 1));
  if (ended_by == "else") {
    const std::string_view next = Word();  // {{else if …}}
    if (!next.empty()) {
      if (next != "if" && next != "with") return Bad("unexpected {} after else", next);
      FAULTLINE_TRY(Block(next, node.otherwise, depth + 1));  // takes the {{end}} of both
      nodes.push_back(std::move(node));
      return {};
    }
    FAULTLINE_ASSIGN(node.otherwise, List(ended_by, depth + 1));
  }
  if (ended_by != "end") return Bad("{{{{{}}}}} has no {{{{end}}}}", name);
  nodes.push_back(std::move(node));
  return {};
}

Result<void> Reader::Define(size_t depth) {
  FAULTLINE_ASSIGN(const std::string name, QuotedWord());
  std::string ended_by;
  FAULTLINE_ASSIGN(Nodes body, List(ended_by, depth + 1));
  if (ended_by != "end") return Bad("define \"{}\" has no {{{{end}}}}", name);
  (*definitions_)[name] = std::move(body);
  return {};
}

Result<TemplateValue> Reader::ReadNumber() {
  size_t size = action_[0] == '-' || action_[0] == '+' ? 1 : 0;
  while (size < action_.size() && (IsWordChar(action_[size]) || action_[size] == '.' ||
                                   ((action_[size] == '-' || action_[size] == '+') &&
                                    (action_[size - 1] == 'e' || action_[size - 1] == 'E')))) {
    ++size;
  }
  const std::string_view text = action_.substr(0, size);
  action_.remove_prefix(size);
  if (const auto integer = ParseInt(text.starts_with('+') ? text.substr(1) : text)) return TemplateValue(*integer);
  if (text.starts_with("0x")) {
    if (const auto integer = ParseUint(text.substr(2), 16)) return TemplateValue(static_cast<int64_t>(*integer));
  }
  if (const auto number = ParseDouble(text)) return TemplateValue(*number);
  return Bad("bad number syntax: \"{}\"", text);
}

Result<Operand> Reader::ReadOperand(size_t depth) {
  Operand operand;
  const char c = action_[0];
  if (const size_t end = QuotedEnd(action_, 0); end != 0) {
    FAULTLINE_ASSIGN(operand.literal, promql::Unquote(action_.substr(0, end)));
    action_.remove_prefix(end);
  } else if (c == '(') {
    action_.remove_prefix(1);
    operand.kind = Operand::Kind::kParen;
    FAULTLINE_ASSIGN(Pipeline inner, ReadPipeline(')', depth + 1));
    operand.paren = std::make_shared<Pipeline>(std::move(inner));
  } else if (c == '$') {
    action_.remove_prefix(1);
    operand.kind = Operand::Kind::kVariable;
    size_t size = 0;
    while (size < action_.size() && IsWordChar(action_[size])) ++size;
    operand.name = action_.substr(0, size);
    action_.remove_prefix(size);
  } else if (c == '.') {
    operand.kind = Operand::Kind::kDot;
    if (action_.size() < 2 || !IsWordChar(action_[1])) action_.remove_prefix(1);
  } else if (std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '+') {
    FAULTLINE_ASSIGN(operand.literal, ReadNumber());
    return operand;
  } else {
    const std::string_view word = Word();
    if (word.empty()) return Bad("unexpected \"{}\" in an action", action_.substr(0, 20));
    if (word == "true" || word == "false") {
      operand.literal = word == "true";
    } else if (word != "nil") {
      operand.kind = Operand::Kind::kFunction;
      operand.name = word;
      if (word != "and" && word != "or" && word != "tmpl" && FindGoTemplateFunction(word) == nullptr &&
          !functions_.Has(word)) {
        return Bad("function \"{}\" not defined", word);
      }
    }
  }
  while (action_.size() > 1 && action_[0] == '.' && IsWordChar(action_[1])) {
    action_.remove_prefix(1);
    operand.fields.emplace_back(Word());
  }
  return operand;
}

Result<Pipeline> Reader::ReadPipeline(char until, size_t depth) {
  if (depth > kMaxDepth) return Bad("parentheses nest deeper than {}", kMaxDepth);
  Pipeline pipeline;
  Blanks();
  // $a, $b := …
  const std::string_view start = action_;
  while (!action_.empty() && action_[0] == '$') {
    action_.remove_prefix(1);
    pipeline.variables.emplace_back(Word());
    Blanks();
    if (action_.starts_with(",")) {
      action_.remove_prefix(1);
      Blanks();
      continue;
    }
    pipeline.declares = action_.starts_with(":=");
    if (pipeline.declares || action_.starts_with("=")) {
      action_.remove_prefix(pipeline.declares ? 2 : 1);
      break;
    }
    pipeline.variables.clear();
    action_ = start;
    break;
  }
  pipeline.commands.emplace_back();
  while (true) {
    Blanks();
    if (action_.empty() || (until != '\0' && action_[0] == until)) break;
    if (action_[0] == '|') {
      if (pipeline.commands.back().empty()) return Bad("missing value for command");
      pipeline.commands.emplace_back();
      action_.remove_prefix(1);
      continue;
    }
    FAULTLINE_ASSIGN(Operand operand, ReadOperand(depth));
    pipeline.commands.back().push_back(std::move(operand));
  }
  if (until != '\0') {
    if (action_.empty()) return Bad("unclosed left paren");
    action_.remove_prefix(1);
  }
  if (pipeline.commands.back().empty()) return Bad("missing value for command");
  return pipeline;
}

}  // namespace

Result<Nodes> Read(std::string_view text, const TemplateFunctions& functions, Definitions& definitions) {
  return Reader(text, functions).All(definitions);
}

}  // namespace faultline::text_template
