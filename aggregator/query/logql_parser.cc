#include "aggregator/query/logql_parser.h"

#include "aggregator/query/promql_grammar.h"
#include "aggregator/query/promql_parser.h"
#include "common/text.h"

namespace faultline::logql {
namespace {

constexpr int kMaxFilterDepth = 64;

class PipelineParser {
 public:
  PipelineParser(Scanner& scanner, std::optional<Unwrap>* unwrap)
      : scanner_(scanner), unwrap_(unwrap) {}

  Result<std::unique_ptr<Pipeline>> Parse() {
    FAULTLINE_TRY(Selector());
    while (true) {
      if (pipeline_->stages.size() > kMaxStages) {
        return scanner_.Fail(fmt::format("more than {} stages", kMaxStages));
      }
      FAULTLINE_ASSIGN(const bool filter, LineFilter());
      if (filter) continue;
      if (!scanner_.Take("|")) break;
      FAULTLINE_TRY(NamedStage());
    }
    return std::move(pipeline_);
  }

 private:
  Result<void> Selector() {
    if (!scanner_.Take("{")) return scanner_.Unexpected("a stream selector as {app=\"a\"}");
    while (!scanner_.Take("}")) {
      const auto name = scanner_.TakeWord();
      if (!name) return scanner_.Unexpected("identifier or \"}\"");
      LabelMatcher matcher{LabelMatcher::Op::kEqual, std::string(*name), {}};
      const size_t at = scanner_.position();
      if (scanner_.Take("=~")) {
        matcher.op = LabelMatcher::Op::kMatches;
      } else if (scanner_.Take("!~")) {
        matcher.op = LabelMatcher::Op::kNotMatches;
      } else if (scanner_.Take("!=")) {
        matcher.op = LabelMatcher::Op::kNotEqual;
      } else if (!scanner_.Take("=")) {
        return scanner_.Unexpected("label matching operator");
      }
      FAULTLINE_ASSIGN(matcher.value, String());
      if (matcher.op == LabelMatcher::Op::kMatches || matcher.op == LabelMatcher::Op::kNotMatches) {
        if (auto checked = promql::CheckRegex(matcher.value); !checked) {
          return scanner_.FailAt(at, checked.error().message);
        }
      }
      pipeline_->matchers.push_back(std::move(matcher));
      if (!scanner_.Take(",") && !scanner_.Sees("}")) return scanner_.Unexpected("\",\" or \"}\"");
    }
    return {};
  }

  Result<std::string> String() {
    FAULTLINE_ASSIGN(std::optional<std::string> text, scanner_.TakeString());
    if (!text) return scanner_.Unexpected("string");
    return std::move(*text);
  }

  Result<void> Add(Result<std::unique_ptr<Stage>> stage, size_t at) {
    if (!stage) {
      auto failure = scanner_.FailAt(at, stage.error().message);
      failure.error().code = stage.error().code;
      return failure;
    }
    pipeline_->stages.push_back(std::move(*stage));
    return {};
  }

  // |= "a" or "b"
  Result<bool> LineFilter() {
    const size_t at = scanner_.position();
    LineFilterOp op;
    if (scanner_.Take("|=")) {
      op = LineFilterOp::kContains;
    } else if (scanner_.Take("!=")) {
      op = LineFilterOp::kNotContains;
    } else if (scanner_.Take("|~")) {
      op = LineFilterOp::kMatches;
    } else if (scanner_.Take("!~")) {
      op = LineFilterOp::kNotMatches;
    } else if (scanner_.Sees("|>") || scanner_.Sees("!>")) {
      const bool negative = scanner_.Take("!>");
      if (!negative) scanner_.Take("|>");
      FAULTLINE_ASSIGN(auto patterns, Alternatives());
      pipeline_->stages.push_back(MakePatternFilter(std::move(patterns), negative));
      return true;
    } else {
      return false;
    }
    FAULTLINE_ASSIGN(std::vector<std::string> alternatives, Alternatives());
    FAULTLINE_TRY(Add(MakeLineFilter(op, std::move(alternatives)), at));
    return true;
  }

  Result<std::vector<std::string>> Alternatives() {
    std::vector<std::string> alternatives;
    do {
      FAULTLINE_ASSIGN(std::string text, String());
      alternatives.push_back(std::move(text));
    } while (scanner_.Take("or"));
    return alternatives;
  }

  Result<void> NamedStage() {
    const size_t at = scanner_.position();
    if (scanner_.Take("json")) {
      FAULTLINE_ASSIGN(auto fields, OptionalFields());
      return Add(MakeJsonParser(std::move(fields)), at);
    }
    if (scanner_.Take("logfmt")) {
      FAULTLINE_ASSIGN(auto fields, OptionalFields());
      return Add(MakeLogfmtParser(std::move(fields)), at);
    }
    if (scanner_.Take("pattern")) {
      FAULTLINE_ASSIGN(const std::string pattern, String());
      return Add(MakePatternParser(pattern), at);
    }
    if (scanner_.Take("regexp")) {
      FAULTLINE_ASSIGN(const std::string pattern, String());
      return Add(MakeRegexpParser(pattern), at);
    }
    if (scanner_.Take("line_format")) {
      FAULTLINE_ASSIGN(const std::string text, String());
      return Add(MakeLineFormat(text), at);
    }
    if (scanner_.Take("label_format")) return LabelFormats();
    if (scanner_.Take("drop")) return Names(false);
    if (scanner_.Take("keep")) return Names(true);
    if (scanner_.Take("unwrap")) return UnwrapStage(at);
    if (scanner_.Take("unpack")) {
      pipeline_->stages.push_back(MakeUnpack());
      return {};
    }
    if (scanner_.Take("decolorize")) {
      pipeline_->stages.push_back(MakeDecolorize());
      return {};
    }
    for (const std::string_view other : {"distinct"}) {
      if (!scanner_.Sees(other)) continue;
      auto failure = scanner_.Fail(fmt::format("the stage {} is not supported", other));
      failure.error().code = ErrorCode::kUnsupported;
      return failure;
    }
    FAULTLINE_ASSIGN(std::unique_ptr<Stage> filter, LabelFilters(0));
    return Add(std::move(filter), at);
  }

  // a="x.y", b: labels and where they come from
  Result<std::vector<std::pair<std::string, std::string>>> OptionalFields() {
    std::vector<std::pair<std::string, std::string>> fields;
    while (scanner_.Take("--strict") || scanner_.Take("--keep-empty")) {
    }
    auto name = scanner_.TakeWord();
    while (name) {
      std::string from(*name);
      if (scanner_.Take("=")) {
        FAULTLINE_ASSIGN(from, String());
      }
      fields.emplace_back(*name, std::move(from));
      if (!scanner_.Take(",")) break;
      name = scanner_.TakeWord();
      if (!name) return scanner_.Unexpected("label");
    }
    return fields;
  }

  Result<void> LabelFormats() {
    do {
      const size_t at = scanner_.position();
      const auto to = scanner_.TakeWord();
      if (!to) return scanner_.Unexpected("label");
      if (!scanner_.Take("=")) return scanner_.Unexpected("\"=\"");
      FAULTLINE_ASSIGN(const std::optional<std::string> text, scanner_.TakeString());
      if (text) {
        FAULTLINE_TRY(Add(MakeLabelFormat(std::string(*to), *text), at));
        continue;
      }
      const auto from = scanner_.TakeWord();
      if (!from) return scanner_.Unexpected("label or string");
      FAULTLINE_TRY(Add(MakeLabelRename(std::string(*to), std::string(*from)), at));
    } while (scanner_.Take(","));
    return {};
  }

  Result<void> Names(bool keep) {
    const size_t at = scanner_.position();
    std::vector<std::string> names;
    do {
      const auto name = scanner_.TakeWord();
      if (!name) return scanner_.Unexpected("label");
      names.emplace_back(*name);
    } while (scanner_.Take(","));
    return Add(MakeDropLabels(std::move(names), keep), at);
  }

  Result<void> UnwrapStage(size_t at) {
    if (unwrap_ == nullptr)
      return scanner_.FailAt(at, "unwrap is only allowed in a range aggregation");
    Unwrap unwrap;
    auto word = scanner_.TakeWord();
    if (!word) return scanner_.Unexpected("label");
    if (scanner_.Take("(")) {
      if (*word == "duration" || *word == "duration_seconds") {
        unwrap.unit = Unwrap::Unit::kDuration;
      } else if (*word == "bytes") {
        unwrap.unit = Unwrap::Unit::kBytes;
      } else {
        return scanner_.FailAt(at, fmt::format("unknown conversion {}", promql::Quote(*word)));
      }
      word = scanner_.TakeWord();
      if (!word) return scanner_.Unexpected("label");
      if (!scanner_.Take(")")) return scanner_.Unexpected("\")\"");
    }
    unwrap.label = *word;
    *unwrap_ = std::move(unwrap);
    return {};
  }

  // a="b" and c>5 or (d=~"e", f!="g"); `or` binds weakest.
  Result<std::unique_ptr<Stage>> LabelFilters(int depth) {
    FAULTLINE_ASSIGN(std::unique_ptr<Stage> left, LabelFilterAnd(depth));
    while (scanner_.Take("or")) {
      FAULTLINE_ASSIGN(std::unique_ptr<Stage> right, LabelFilterAnd(depth));
      left = MakeEither(std::move(left), std::move(right));
    }
    return left;
  }

  Result<std::unique_ptr<Stage>> LabelFilterAnd(int depth) {
    FAULTLINE_ASSIGN(std::unique_ptr<Stage> left, LabelFilter(depth));
    while (scanner_.Take("and") || scanner_.Take(",")) {
      FAULTLINE_ASSIGN(std::unique_ptr<Stage> right, LabelFilter(depth));
      left = MakeBoth(std::move(left), std::move(right));
    }
    return left;
  }

  Result<std::unique_ptr<Stage>> LabelFilter(int depth) {
    if (depth > kMaxFilterDepth || ++filters_ > 1000)
      return scanner_.Fail("label filters are nested too deeply");
    if (scanner_.Take("(")) {
      FAULTLINE_ASSIGN(std::unique_ptr<Stage> inner, LabelFilters(depth + 1));
      if (!scanner_.Take(")")) return scanner_.Unexpected("\")\"");
      return inner;
    }
    const auto label = scanner_.TakeWord();
    if (!label) return scanner_.Unexpected("a stage or a label");
    static constexpr std::pair<std::string_view, Comparison> kOps[] = {
        {"==", Comparison::kEqual},       {"=~", Comparison::kMatches},
        {"=", Comparison::kEqual},        {"!=", Comparison::kNotEqual},
        {"!~", Comparison::kNotMatches},  {">=", Comparison::kGreaterOrEqual},
        {"<=", Comparison::kLessOrEqual}, {">", Comparison::kGreater},
        {"<", Comparison::kLess}};
    const size_t at = scanner_.position();
    for (const auto& [text, op] : kOps) {
      if (scanner_.Take(text)) return LabelValueFilter(std::string(*label), op, at);
    }
    return scanner_.Unexpected("label matching operator");
  }

  Result<std::unique_ptr<Stage>> LabelValueFilter(std::string label, Comparison op, size_t at) {
    const bool ordered = op == Comparison::kGreater || op == Comparison::kGreaterOrEqual ||
                         op == Comparison::kLess || op == Comparison::kLessOrEqual;
    FAULTLINE_ASSIGN(std::optional<std::string> text, scanner_.TakeString());
    if (text) {
      if (ordered) return scanner_.FailAt(at, "a text can only be compared with =, !=, =~ and !~");
      auto filter = MakeTextFilter(std::move(label), op, std::move(*text));
      if (!filter) return scanner_.FailAt(at, filter.error().message);
      return filter;
    }
    if (op == Comparison::kMatches || op == Comparison::kNotMatches)
      return scanner_.Unexpected("string");
    const auto quantity = scanner_.TakeQuantity();
    if (!quantity) return scanner_.Unexpected("string, number, duration or bytes");
    for (const Unwrap::Unit unit :
         {Unwrap::Unit::kNumber, Unwrap::Unit::kDuration, Unwrap::Unit::kBytes}) {
      if (const auto value = ParseQuantity(*quantity, unit)) {
        return MakeNumberFilter(std::move(label), op, *value, unit);
      }
    }
    return scanner_.FailAt(
        at, fmt::format("not a number, duration or size: {}", promql::Quote(*quantity)));
  }

  Scanner& scanner_;
  std::optional<Unwrap>* unwrap_;
  std::unique_ptr<Pipeline> pipeline_ = std::make_unique<Pipeline>();
  int filters_ = 0;
};

}  // namespace

Result<std::unique_ptr<Pipeline>> ParsePipeline(Scanner& scanner, std::optional<Unwrap>* unwrap) {
  return PipelineParser(scanner, unwrap).Parse();
}

}  // namespace faultline::logql
