// The tree of a TraceQL query, between its parser and its evaluation.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>
#include <vector>

namespace faultline::traces::traceql_tree {

enum class Compare { kEqual, kNotEqual, kMatches, kNotMatches, kLess, kLessEqual, kGreater, kGreaterEqual };

struct Literal {
  std::string text;
  double number = 0;  // of numbers, durations (nanoseconds)
  bool is_number = false;
  bool is_nil = false;
};

// A tree of && and || over comparisons; a leaf without a field is true.
struct Condition {
  enum class Kind { kTrue, kCompare, kAnd, kOr, kNot } kind = Kind::kTrue;
  std::string field;
  Compare compare = Compare::kEqual;
  Literal literal;
  std::shared_ptr<const RE2> pattern;
  std::unique_ptr<Condition> left, right;
};

struct Aggregate {
  std::string function;  // count, min, max, avg, sum
  std::string field;
  Compare compare = Compare::kEqual;
  double number = 0;
};

struct SpanSet {
  enum class Kind { kFilter, kAnd, kOr, kChild, kDescendant } kind = Kind::kFilter;
  std::unique_ptr<Condition> filter;
  std::shared_ptr<const SpanSet> left, right;
  std::vector<Aggregate> aggregates;  // of the whole set
};

}  // namespace faultline::traces::traceql_tree
