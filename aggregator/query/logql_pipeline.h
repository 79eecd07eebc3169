// What happens to a log line between the store and an answer: a list of stages, each of which may
// drop the line, read labels out of it or change it. Stages are made by the parser, have no state
// and may run in several threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/store/store.h"
#include "common/result.h"

namespace faultline::logql {

struct LogLine {
  int64_t time_unix_ns = 0;
  std::string_view text;
  const Labels* stream = nullptr;
  Labels extra;  // attributes and what stages extracted; hides the stream's labels of the same name
  std::string formatted;  // owns `text` once a stage has rewritten it

  std::string_view Get(std::string_view name) const;
  void Set(std::string_view name, std::string_view value);
  void Remove(std::string_view name);
  // As Set, under name_extracted when the stream has that label already.
  void Extract(std::string_view name, std::string_view value);
  Labels Merged() const;
  // Kept, but with the reason in the label __error__.
  void Complain(std::string_view error) { Set("__error__", error); }

 private:
  std::vector<std::string> removed_;  // of the stream's
};

class Stage {
 public:
  virtual ~Stage() = default;
  // False drops the line.
  virtual bool Apply(LogLine& line) const = 0;
  // What every line that passes must contain; empty if unknown.
  virtual std::string_view needle() const { return {}; }
  // Whether later stages see another text than what is stored, so that their needles say nothing about it.
  virtual bool rewrites() const { return false; }
};

struct Pipeline {
  std::vector<LabelMatcher> matchers;
  std::vector<std::unique_ptr<Stage>> stages;
};

// What to read as a number, of a range aggregation.
struct Unwrap {
  enum class Unit { kNumber, kDuration, kBytes };
  std::string label;
  Unit unit = Unit::kNumber;
};

enum class LineFilterOp { kContains, kNotContains, kMatches, kNotMatches };
Result<std::unique_ptr<Stage>> MakeLineFilter(LineFilterOp op,
                                              std::vector<std::string> alternatives);

enum class Comparison {
  kEqual,
  kNotEqual,
  kMatches,
  kNotMatches,
  kGreater,
  kGreaterOrEqual,
  kLess,
  kLessOrEqual
};
Result<std::unique_ptr<Stage>> MakeTextFilter(std::string label, Comparison op, std::string value);
std::unique_ptr<Stage> MakeNumberFilter(std::string label, Comparison op, double value,
                                        Unwrap::Unit unit);
std::unique_ptr<Stage> MakeBoth(std::unique_ptr<Stage> left, std::unique_ptr<Stage> right);
std::unique_ptr<Stage> MakeEither(std::unique_ptr<Stage> left, std::unique_ptr<Stage> right);

// `paths`: label and path in the document; empty: everything, flattened with _.
std::unique_ptr<Stage> MakeJsonParser(std::vector<std::pair<std::string, std::string>> paths);
std::unique_ptr<Stage> MakeLogfmtParser(std::vector<std::pair<std::string, std::string>> fields);
Result<std::unique_ptr<Stage>> MakePatternParser(std::string_view pattern);
Result<std::unique_ptr<Stage>> MakeRegexpParser(const std::string& pattern);

std::unique_ptr<Stage> MakeUnpack();
std::unique_ptr<Stage> MakeDecolorize();
// |> and !>: patterns of literals and <_>, that must match the whole line.
std::unique_ptr<Stage> MakePatternFilter(std::vector<std::string> alternatives, bool negative);

// Go templates with what Loki adds (logql_template).
Result<std::unique_ptr<Stage>> MakeLineFormat(std::string_view template_text);
std::unique_ptr<Stage> MakeLabelRename(std::string to, std::string from);
Result<std::unique_ptr<Stage>> MakeLabelFormat(std::string to, std::string_view template_text);
std::unique_ptr<Stage> MakeDropLabels(std::vector<std::string> names, bool keep_instead);

// `1.5s`, `10KB`, `42` in that unit (seconds, bytes, as it is).
std::optional<double> ParseQuantity(std::string_view text, Unwrap::Unit unit);

// Calls `visit` with each line in [begin, end) that passes, with its labels: those of the stream,
// attributes (dots become underscores), detected_level, and what stages extracted.
Result<void> ScanPipeline(Store& store, const Pipeline& pipeline, int64_t begin_unix_ns,
                          int64_t end_unix_ns, bool newest_first,
                          const std::function<Result<bool>(LogLine&)>& visit);

}  // namespace faultline::logql
