// Pipelines and range aggregations of LogQL, from text.
#pragma once

#include "aggregator/query/logql_pipeline.h"
#include "aggregator/query/logql_scanner.h"
#include "aggregator/query/promql_ast.h"
#include "common/result.h"

namespace faultline::logql {

constexpr size_t kMaxStages = 64;

// {…} and the stages behind it, until something that begins no stage. `unwrap` is filled if there
// is one and null where none is allowed.
Result<std::unique_ptr<Pipeline>> ParsePipeline(Scanner& scanner, std::optional<Unwrap>* unwrap);

// A whole metric query.
Result<promql::ExprPtr> ParseMetricQuery(std::string_view query);

}  // namespace faultline::logql
