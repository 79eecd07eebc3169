#include "aggregator/experiments/status_checks.h"

#include <thread>
#include <vector>

#include "aggregator/query/logql.h"
#include "aggregator/query/promql.h"
#include "common/bounded_queue.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr size_t kMaxAsked = 1000;
constexpr int kThreads = 2;

std::string TextAt(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr) return "";
  return value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
}

int64_t IntAt(const json::object& object, std::string_view name, int64_t otherwise) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_int64() ? value->get_int64() : otherwise;
}

const json::object& ObjectAt(const json::object& object, std::string_view name) {
  static const json::object kEmpty;
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_object() ? value->get_object() : kEmpty;
}

bool Holds(double left, const std::string& comparison, double right) {
  if (comparison == "<") return left < right;
  if (comparison == "<=") return left <= right;
  if (comparison == ">") return left > right;
  if (comparison == ">=") return left >= right;
  if (comparison == "==") return left == right;
  return left != right;
}

Result<std::string> AskHttp(const CheckSpec& spec) {
  FAULTLINE_ASSIGN(const int code, ProbeHttp(spec.http));
  if (code >= spec.low_code && code <= spec.high_code)
    return fmt::format("{}: {}", spec.http.url, code);
  return Fail(ErrorCode::kUnavailable, "{}: {} instead of {}-{}", spec.http.url, code,
              spec.low_code, spec.high_code);
}

Result<std::string> AskStore(const CheckSpec& spec, Store* store, const Clock* clock) {
  if (store == nullptr) return Fail(ErrorCode::kUnsupported, "{}: no store to ask", spec.type);
  QueryOptions options;
  options.clock = clock;
  options.deadline_steady_ns = clock->SteadyNs() + spec.http.timeout_ns;
  options.logs = store;
  const int64_t now_ms = clock->UnixNs() / kNsPerMs;
  const auto source = promql::MakeSeriesSource(store, {});
  Result<QueryResult> result = QueryResult();
  if (spec.type == "Log") {
    FAULTLINE_ASSIGN(const LogQlQuery query, LogQlQuery::Parse(spec.expression));
    if (query.is_log_query())
      return Fail(ErrorCode::kInvalidArgument,
                  "expression: count the lines, as count_over_time(… [1m])");
    result = query.metric().At(now_ms, *source, options);
  } else {
    FAULTLINE_ASSIGN(const PromQuery query, PromQuery::Parse(spec.expression));
    result = query.At(now_ms, *source, options);
  }
  if (!result) return std::unexpected(result.error());
  std::vector<double> values;
  if (result->type == promql::ValueType::kScalar) values.push_back(result->scalar);
  for (const ResultSeries& series : result->series) {
    if (!series.samples.empty()) values.push_back(series.samples.back().value);
  }
  if (values.empty()) {
    if (spec.type != "Log") return Fail(ErrorCode::kNotFound, "{}: no value", spec.expression);
    values.push_back(0);
  }
  for (const double value : values) {
    if (!Holds(value, spec.comparison, spec.value))
      return Fail(ErrorCode::kUnavailable, "{}: {} is not {} {}", spec.expression,
                  FormatDouble(value), spec.comparison, FormatDouble(spec.value));
  }
  return fmt::format("{}: {}", spec.expression, FormatDouble(values.front()));
}

}  // namespace

CheckSpec ReadCheckSpec(const json::object& check) {
  CheckSpec spec;
  spec.name = TextAt(check, "name");
  spec.type = TextAt(check, "type").empty() ? "HTTP" : TextAt(check, "type");
  spec.continuous = TextAt(check, "mode") == "Continuous";
  spec.interval_ns = IntAt(check, "intervalSeconds", 10) * kNsPerSecond;
  spec.failure_threshold = static_cast<int>(IntAt(check, "failureThreshold", 3));
  spec.success_threshold = static_cast<int>(IntAt(check, "successThreshold", 1));
  const json::object& http = ObjectAt(check, "http");
  spec.http.url = TextAt(http, "url");
  spec.http.method = TextAt(http, "method").empty() ? "GET" : TextAt(http, "method");
  spec.http.body = TextAt(http, "body");
  spec.http.timeout_ns = IntAt(check, "timeoutSeconds", 1) * kNsPerSecond;
  for (const auto& [name, value] : ObjectAt(http, "headers")) {
    if (value.is_string()) spec.http.headers.emplace_back(name, value.get_string());
    if (!value.is_array()) continue;
    for (const json::value& one : value.get_array()) {
      if (one.is_string()) spec.http.headers.emplace_back(name, one.get_string());
    }
  }
  const std::string codes = TextAt(ObjectAt(http, "criteria"), "statusCode");
  const size_t dash = codes.find('-');
  spec.low_code = static_cast<int>(ParseInt(codes.substr(0, dash)).value_or(200));
  spec.high_code = dash == std::string::npos
                       ? spec.low_code
                       : static_cast<int>(ParseInt(codes.substr(dash + 1)).value_or(200));
  spec.expression = TextAt(check, "expression");
  const std::string criteria = TextAt(ObjectAt(check, "criteria"), "value");
  std::string_view words = criteria;
  spec.comparison = std::string(NextWord(words));
  spec.value = ParseDouble(Trim(words)).value_or(0);
  return spec;
}

bool CheckCourse::Due(int64_t now_unix_ns) {
  if (waiting_ || state_ != State::kAsking || now_unix_ns < next_unix_ns_) return false;
  waiting_ = true;
  next_unix_ns_ = now_unix_ns + spec_.interval_ns;
  return true;
}

void CheckCourse::OnAnswer(const Result<std::string>& answer, int64_t) {
  waiting_ = false;
  message_ = answer ? *answer : answer.error().message;
  successes_ = answer ? successes_ + 1 : 0;
  failures_ = answer ? 0 : failures_ + 1;
  if (failures_ >= spec_.failure_threshold) state_ = State::kFailed;
  if (!spec_.continuous && successes_ >= spec_.success_threshold) state_ = State::kPassed;
}

struct CheckRunner::Impl {
  Store* store;
  const Clock* clock;
  BoundedQueue<std::function<void()>> asked{kMaxAsked};
  std::vector<std::thread> threads;
};

CheckRunner::CheckRunner(Store* store, const Clock* clock) : impl_(std::make_unique<Impl>()) {
  impl_->store = store;
  impl_->clock = clock;
  for (int i = 0; i < kThreads; ++i) {
    impl_->threads.emplace_back([impl = impl_.get()] {
      while (!impl->asked.closed()) {
        if (auto work = impl->asked.Pop(std::chrono::seconds(60))) (*work)();
      }
    });
  }
}

CheckRunner::~CheckRunner() {
  impl_->asked.Close();
  for (std::thread& thread : impl_->threads) thread.join();
}

void CheckRunner::Ask(const CheckSpec& spec, Done done) {
  const bool queued = impl_->asked.TryPush([impl = impl_.get(), spec, done] {
    done(spec.type == "HTTP" ? AskHttp(spec) : AskStore(spec, impl->store, impl->clock));
  });
  if (!queued) done(Fail(ErrorCode::kResourceExhausted, "too many checks wait"));
}

}  // namespace faultline
