// LogQL: log queries ({app="a"} |= "x" | json | status >= 500) and metric queries over them (sum by
// (app) (rate({…} [5m]))). Metric queries are PromQL trees with log leaves, so every aggregation
// and operator of PromQL works.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "aggregator/query/logql_pipeline.h"
#include "aggregator/query/promql.h"
#include "common/result.h"

namespace faultline {

struct LogStreamResult {
  Labels labels;
  std::vector<std::pair<int64_t, std::string>> lines;  // nanoseconds, text
};

class LogQlQuery {
 public:
  // kInvalidArgument: `1:5: parse error: …`; kUnsupported names a part of the language that we do
  // not have.
  static Result<LogQlQuery> Parse(std::string_view text);
  // A stream selector alone, without stages.
  static Result<std::vector<LabelMatcher>> ParseSelector(std::string_view text);

  bool is_log_query() const { return pipeline_ != nullptr; }
  // Of a log query: at most `limit` lines in [begin, end), streams in order of first line.
  Result<std::vector<LogStreamResult>> Lines(Store& store, int64_t begin_unix_ns,
                                             int64_t end_unix_ns, size_t limit, bool newest_first,
                                             const QueryOptions& options) const;
  // Of a metric query; evaluate with QueryOptions::logs set.
  const PromQuery& metric() const { return *metric_; }

 private:
  std::shared_ptr<const logql::Pipeline> pipeline_;
  std::shared_ptr<const PromQuery> metric_;
};

}  // namespace faultline
