// PromQL text to a typed tree. Errors are Prometheus' kind: `1:5: parse error: unexpected …`, code
// kInvalidArgument. Precedence climbing over a pulled token stream; nesting is bounded so that no
// input exhausts the stack.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "aggregator/query/promql_ast.h"
#include "common/result.h"

namespace faultline::promql {

constexpr size_t kMaxQueryBytes = 256 << 10;
constexpr uint32_t kMaxExprDepth = 1000;

Result<ExprPtr> Parse(std::string_view query);
// One vector selector, as match[] of the API takes it.
Result<std::vector<LabelMatcher>> ParseSelector(std::string_view query);

// "1:5: parse error: <message>" for the byte at `position`.
std::string ParseErrorText(std::string_view query, size_t position, std::string_view message);

// Types of everything below `expr`; the first violation in Prometheus' order, at its place. Also
// marks step-invariant nodes.
Result<void> CheckTypes(std::string_view query, Expr& expr);

// `5m`, `1h30m` as Prometheus reads durations (no fractions, units in falling order); to
// milliseconds.
Result<int64_t> ParsePrometheusDuration(std::string_view text);
// Without its quotes and escapes (Go's rules).
Result<std::string> Unquote(std::string_view literal);
// Whether RE2 reads it; the reason in the words that Go's regexp uses.
Result<void> CheckRegex(const std::string& pattern);

bool IsLabelName(std::string_view name);

}  // namespace faultline::promql
