// line_format and label_format with everything that Go's templates and Loki's functions can do.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/query/logql_pipeline.h"
#include "aggregator/query/text_template.h"

namespace faultline::logql {

class LineTemplate {
 public:
  static Result<LineTemplate> Parse(std::string_view text);
  static LineTemplate OfField(const std::string& label);
  // Labels are fields of `.`; an error is Loki's TemplateFormatErr in the line's __error__, and the text is empty.
  std::string Render(LogLine& line) const;

 private:
  struct Piece {
    std::string literal;
    std::string label;  // behind it
  };
  // Templates of fields alone, which are most, go without the engine.
  std::vector<Piece> pieces_;
  std::optional<TextTemplate> text_;
};

}  // namespace faultline::logql
