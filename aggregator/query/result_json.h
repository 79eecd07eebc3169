// Answers in the JSON of Prometheus' API, appended straight to a string: large matrices are mostly
// numbers, and a tree of values would cost more than the query.
#pragma once

#include <string>
#include <string_view>

#include "aggregator/query/promql.h"

namespace faultline::promql {

void AppendJsonString(std::string& out, std::string_view text);  // quoted; invalid UTF-8 replaced
void AppendJsonLabels(std::string& out, const Labels& labels);   // {"a":"b"}
// {"resultType":"vector","result":[…]}
void AppendJsonResult(std::string& out, const QueryResult& result);

}  // namespace faultline::promql
