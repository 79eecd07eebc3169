// Whether something is as it should be, asked again and again (objects/status_check.cc has the
// fields). CheckCourse is pure: when to ask, and what the answers mean. CheckRunner asks, on
// threads of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/json.hpp>

#include "aggregator/experiments/http_probe.h"
#include "aggregator/store/store.h"
#include "common/clock.h"
#include "common/result.h"

namespace faultline {

struct CheckSpec {
  std::string name;
  bool continuous = false;
  std::string type;  // HTTP, PromQL, Log
  HttpProbe http;
  int low_code = 200, high_code = 200;
  std::string expression;
  std::string comparison;  // < <= > >= == !=
  double value = 0;
  int64_t interval_ns = 10 * kNsPerSecond;
  int failure_threshold = 3;
  int success_threshold = 1;
};

// `check`: validated.
CheckSpec ReadCheckSpec(const boost::json::object& check);

class CheckCourse {
 public:
  enum class State { kAsking, kPassed, kFailed };
  explicit CheckCourse(CheckSpec spec) : spec_(std::move(spec)) {}

  // True: ask now; the answer comes to OnAnswer.
  bool Due(int64_t now_unix_ns);
  void OnAnswer(const Result<std::string>& answer, int64_t now_unix_ns);
  // A continuous check never passes by itself.
  State state() const { return state_; }
  const std::string& message() const { return message_; }
  const CheckSpec& spec() const { return spec_; }

 private:
  const CheckSpec spec_;
  State state_ = State::kAsking;
  bool waiting_ = false;
  int64_t next_unix_ns_ = 0;
  int failures_ = 0;
  int successes_ = 0;
  std::string message_;
};

class CheckRunner {
 public:
  using Done = std::function<void(Result<std::string>)>;

  // `store` may be null: then only HTTP can be asked.
  CheckRunner(Store* store, const Clock* clock);
  ~CheckRunner();
  // `done` is called on one of the runner's threads: what was found, or why it is not as it should
  // be.
  void Ask(const CheckSpec& spec, Done done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
