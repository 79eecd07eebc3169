// The tree of a template, between its reader and its walk.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "aggregator/query/text_template.h"

namespace faultline::text_template {

struct Pipeline;

// One word of a command: a literal, a field chain on something, a function's name, a pipeline in parentheses.
struct Operand {
  enum class Kind { kLiteral, kDot, kVariable, kFunction, kParen } kind = Kind::kLiteral;
  TemplateValue literal;
  std::string name;
  std::vector<std::string> fields;
  std::shared_ptr<Pipeline> paren;
};
using Command = std::vector<Operand>;

struct Pipeline {
  std::vector<std::string> variables;
  bool declares = false;  // := , otherwise =
  std::vector<Command> commands;
};

struct Node {
  enum class Kind { kText, kAction, kIf, kRange, kWith, kTemplate, kBreak, kContinue } kind = Kind::kText;
  std::string text;  // or the name of a template
  Pipeline pipeline;
  std::vector<Node> body, otherwise;
};
using Nodes = std::vector<Node>;
using Definitions = std::map<std::string, Nodes, std::less<>>;

constexpr size_t kMaxDepth = 100;

Result<Nodes> Read(std::string_view text, const TemplateFunctions& functions, Definitions& definitions);

template <typename... Args>
std::unexpected<Error> Bad(fmt::format_string<Args...> format, Args&&... args) {
  return Fail(ErrorCode::kInvalidArgument, format, std::forward<Args>(args)...);
}

}  // namespace faultline::text_template
