// Stages that keep or drop a line: by its text, by a label's text, by a label's quantity.
#include <re2/re2.h>

#include <cmath>

#include "aggregator/query/logql_pipeline.h"
#include "aggregator/query/promql_parser.h"
#include "common/text.h"

namespace faultline::logql {
namespace {

std::unique_ptr<RE2> Compile(const std::string& pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  return std::make_unique<RE2>(pattern, options);
}

re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }

class ContainsFilter final : public Stage {
 public:
  ContainsFilter(std::vector<std::string> alternatives, bool wanted)
      : alternatives_(std::move(alternatives)), wanted_(wanted) {}
  bool Apply(LogLine& line) const override {
    for (const std::string& text : alternatives_) {
      if (line.text.find(text) != std::string_view::npos) return wanted_;
    }
    return !wanted_;
  }
  std::string_view needle() const override {
    return wanted_ && alternatives_.size() == 1 ? std::string_view(alternatives_[0])
                                                : std::string_view();
  }

 private:
  const std::vector<std::string> alternatives_;
  const bool wanted_;
};

class RegexFilter final : public Stage {
 public:
  RegexFilter(std::vector<std::unique_ptr<RE2>> alternatives, bool wanted)
      : alternatives_(std::move(alternatives)), wanted_(wanted) {}
  bool Apply(LogLine& line) const override {
    for (const auto& regex : alternatives_) {
      if (RE2::PartialMatch(Piece(line.text), *regex)) return wanted_;
    }
    return !wanted_;
  }

 private:
  const std::vector<std::unique_ptr<RE2>> alternatives_;
  const bool wanted_;
};

class TextFilter final : public Stage {
 public:
  TextFilter(std::string label, Comparison op, std::string value, std::unique_ptr<RE2> regex)
      : label_(std::move(label)), op_(op), value_(std::move(value)), regex_(std::move(regex)) {}
  bool Apply(LogLine& line) const override {
    const std::string_view value = line.Get(label_);
    switch (op_) {
      case Comparison::kEqual:
        return value == value_;
      case Comparison::kNotEqual:
        return value != value_;
      case Comparison::kMatches:
        return RE2::FullMatch(Piece(value), *regex_);
      default:
        return !RE2::FullMatch(Piece(value), *regex_);
    }
  }

 private:
  const std::string label_;
  const Comparison op_;
  const std::string value_;
  const std::unique_ptr<RE2> regex_;
};

class NumberFilter final : public Stage {
 public:
  NumberFilter(std::string label, Comparison op, double value, Unwrap::Unit unit)
      : label_(std::move(label)), op_(op), value_(value), unit_(unit) {}
  bool Apply(LogLine& line) const override {
    const std::string_view text = line.Get(label_);
    if (text.empty()) return false;
    const auto number = ParseQuantity(text, unit_);
    if (!number) {
      line.Complain("LabelFilterErr");
      return true;
    }
    switch (op_) {
      case Comparison::kEqual:
        return *number == value_;
      case Comparison::kNotEqual:
        return *number != value_;
      case Comparison::kGreater:
        return *number > value_;
      case Comparison::kGreaterOrEqual:
        return *number >= value_;
      case Comparison::kLess:
        return *number < value_;
      default:
        return *number <= value_;
    }
  }

 private:
  const std::string label_;
  const Comparison op_;
  const double value_;
  const Unwrap::Unit unit_;
};

class Both final : public Stage {
 public:
  Both(std::unique_ptr<Stage> left, std::unique_ptr<Stage> right, bool either)
      : left_(std::move(left)), right_(std::move(right)), either_(either) {}
  bool Apply(LogLine& line) const override {
    return either_ ? left_->Apply(line) || right_->Apply(line)
                   : left_->Apply(line) && right_->Apply(line);
  }

 private:
  const std::unique_ptr<Stage> left_;
  const std::unique_ptr<Stage> right_;
  const bool either_;
};

}  // namespace

std::optional<double> ParseQuantity(std::string_view text, Unwrap::Unit unit) {
  if (unit == Unwrap::Unit::kDuration) {
    const auto ns = ParseDurationNs(text);
    if (ns) return static_cast<double>(*ns) / 1e9;
    return std::nullopt;
  }
  if (unit == Unwrap::Unit::kBytes) {
    const auto bytes = ParseBytes(text);
    if (bytes) return static_cast<double>(*bytes);
    return std::nullopt;
  }
  return ParseDouble(text);
}

Result<std::unique_ptr<Stage>> MakeLineFilter(LineFilterOp op,
                                              std::vector<std::string> alternatives) {
  const bool wanted = op == LineFilterOp::kContains || op == LineFilterOp::kMatches;
  if (op == LineFilterOp::kContains || op == LineFilterOp::kNotContains) {
    return std::make_unique<ContainsFilter>(std::move(alternatives), wanted);
  }
  std::vector<std::unique_ptr<RE2>> compiled;
  for (const std::string& pattern : alternatives) {
    FAULTLINE_TRY(promql::CheckRegex(pattern));
    compiled.push_back(Compile(pattern));
  }
  return std::make_unique<RegexFilter>(std::move(compiled), wanted);
}

Result<std::unique_ptr<Stage>> MakeTextFilter(std::string label, Comparison op, std::string value) {
  std::unique_ptr<RE2> regex;
  if (op == Comparison::kMatches || op == Comparison::kNotMatches) {
    FAULTLINE_TRY(promql::CheckRegex(value));
    regex = Compile(value);
  }
  return std::make_unique<TextFilter>(std::move(label), op, std::move(value), std::move(regex));
}

std::unique_ptr<Stage> MakeNumberFilter(std::string label, Comparison op, double value,
                                        Unwrap::Unit unit) {
  return std::make_unique<NumberFilter>(std::move(label), op, value, unit);
}

std::unique_ptr<Stage> MakeBoth(std::unique_ptr<Stage> left, std::unique_ptr<Stage> right) {
  return std::make_unique<Both>(std::move(left), std::move(right), false);
}

std::unique_ptr<Stage> MakeEither(std::unique_ptr<Stage> left, std::unique_ptr<Stage> right) {
  return std::make_unique<Both>(std::move(left), std::move(right), true);
}

}  // namespace faultline::logql
