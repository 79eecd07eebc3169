// Go's text/template: text, pipelines, variables, if, range, with, define and template. What functions there are and what
// `.` is, the user says. Parsed once, expanded often; bounded in depth, steps and output.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "aggregator/store/store.h"
#include "common/result.h"

namespace faultline {

struct TemplateValue;
using TemplateMap = std::map<std::string, TemplateValue>;
using TemplateList = std::vector<TemplateValue>;

struct TemplateValue {
  std::variant<std::monostate, bool, int64_t, double, std::string, std::shared_ptr<const TemplateMap>,
               std::shared_ptr<const TemplateList>>
      is;
  TemplateValue() = default;
  template <typename T>
  TemplateValue(T value) : is(std::move(value)) {}  // NOLINT: a value is made from what it is

  bool Truth() const;        // as `if` sees it
  std::string Text() const;  // as it is printed
};

TemplateValue MapOf(const Labels& labels);
// A number in the spelling of Go's %v: 1.5, 1e+06.
std::string GoNumberText(double value);

// Arguments in order, a pipeline's value last. kInvalidArgument says what does not fit.
class TemplateFunctions {
 public:
  virtual ~TemplateFunctions() = default;
  virtual bool Has(std::string_view name) const = 0;
  virtual Result<TemplateValue> Call(std::string_view name, std::vector<TemplateValue>& arguments) const = 0;
};

// Those of Go: eq ne lt le gt ge not len index print printf println html urlquery. Null if there is none of that name.
using GoTemplateFunction = Result<TemplateValue> (*)(std::vector<TemplateValue>& arguments);
GoTemplateFunction FindGoTemplateFunction(std::string_view name);
Result<double> TemplateNumber(const TemplateValue& value);

class TextTemplate {
 public:
  // kInvalidArgument says what cannot be read, also a function that `functions` has not.
  static Result<TextTemplate> Parse(std::string_view text, const TemplateFunctions& functions);
  using Variables = std::vector<std::pair<std::string, TemplateValue>>;  // $name
  Result<std::string> Expand(const TemplateValue& dot, Variables variables, const TemplateFunctions& functions) const;

  struct Tree;

 private:
  std::shared_ptr<const Tree> tree_;
};

}  // namespace faultline
