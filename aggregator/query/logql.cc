#include "aggregator/query/logql.h"

#include <unordered_map>

#include "aggregator/query/logql_parser.h"
#include "aggregator/query/matrix.h"
#include "aggregator/query/promql_parser.h"

namespace faultline {

using logql::LogLine;
using logql::Scanner;

Result<LogQlQuery> LogQlQuery::Parse(std::string_view text) {
  if (text.size() > promql::kMaxQueryBytes) {
    return Fail(ErrorCode::kInvalidArgument,
                "query of {} bytes is longer than the limit of {} bytes", text.size(),
                promql::kMaxQueryBytes);
  }
  LogQlQuery query;
  Scanner scanner(text, 0);
  if (!scanner.Sees("{")) {
    FAULTLINE_ASSIGN(promql::ExprPtr expr, logql::ParseMetricQuery(text));
    query.metric_ = std::make_shared<const PromQuery>(std::move(expr));
    return query;
  }
  FAULTLINE_ASSIGN(std::unique_ptr<logql::Pipeline> pipeline,
                   logql::ParsePipeline(scanner, nullptr));
  if (!scanner.AtEnd()) return scanner.Unexpected("a stage");
  query.pipeline_ = std::move(pipeline);
  return query;
}

Result<std::vector<LabelMatcher>> LogQlQuery::ParseSelector(std::string_view text) {
  Scanner scanner(text, 0);
  FAULTLINE_ASSIGN(std::unique_ptr<logql::Pipeline> pipeline,
                   logql::ParsePipeline(scanner, nullptr));
  if (!scanner.AtEnd() || !pipeline->stages.empty())
    return scanner.Unexpected("a stream selector alone");
  return std::move(pipeline->matchers);
}

Result<std::vector<LogStreamResult>> LogQlQuery::Lines(Store& store, int64_t begin_unix_ns,
                                                       int64_t end_unix_ns, size_t limit,
                                                       bool newest_first,
                                                       const QueryOptions& options) const {
  std::vector<LogStreamResult> streams;
  std::unordered_map<std::string, size_t> index;
  size_t taken = 0;
  if (limit == 0) return streams;
  FAULTLINE_TRY(logql::ScanPipeline(
      store, *pipeline_, begin_unix_ns, end_unix_ns, newest_first,
      [&](LogLine& line) -> Result<bool> {
        if (taken % 64 == 0 && options.deadline_steady_ns != 0 && options.clock != nullptr &&
            options.clock->SteadyNs() > options.deadline_steady_ns) {
          return Fail(ErrorCode::kTimeout, "query timed out after {} matching log lines", taken);
        }
        Labels labels = line.Merged();
        const auto [at, is_new] = index.try_emplace(promql::KeyOf(labels), streams.size());
        if (is_new) streams.push_back({std::move(labels), {}});
        streams[at->second].lines.emplace_back(line.time_unix_ns, std::string(line.text));
        return ++taken < limit;
      }));
  return streams;
}

}  // namespace faultline
