// A built-in check looks at one thing of a host and says what it found. Copy the smallest sibling
// (cpu_load.cc): one file, one row in check_catalogue.cc, one test. It may remember what it saw
// last time (rates). Hardware or software that is not there is not_applicable, never ok.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/host_view.h"
#include "common/result.h"
#include "faultline/v1/check.pb.h"

namespace faultline {

struct Finding {
  v1::CheckVerdict verdict = v1::CHECK_VERDICT_OK;
  std::string message;
  std::string expected;
  std::string current;
  std::string device;      // comma list of those that are affected
  std::string suggestion;  // empty: the row's
  std::string action;
  v1::CheckLevel level = v1::CHECK_LEVEL_UNSPECIFIED;  // unspecified: the row's
  std::vector<v1::Perfdata> figures;

  static Finding Ok(std::string message) { return {.message = std::move(message)}; }
  static Finding NotApplicable(std::string message) {
    return {.verdict = v1::CHECK_VERDICT_NOT_APPLICABLE, .message = std::move(message)};
  }
  static Finding Unknown(std::string message) {
    return {.verdict = v1::CHECK_VERDICT_UNKNOWN, .message = std::move(message)};
  }
  void Add(std::string_view label, double value, std::string_view unit = "");
};

class Check {
 public:
  virtual ~Check() = default;
  // On a thread that may block: a check that does not come back is told as timed out and asked
  // again when it did.
  virtual Finding Evaluate(const HostView& host) = 0;
};

// What the configuration or a rule says to a check. Each parameter is asked for once, when the
// check is made.
class CheckParameters {
 public:
  explicit CheckParameters(const std::map<std::string, std::string>& given) : given_(given) {}
  double Number(std::string_view name, double fallback);
  std::string Text(std::string_view name, std::string_view fallback);
  // kInvalidArgument names what is no number, or unknown.
  Result<void> Done() const;

 private:
  const std::map<std::string, std::string>& given_;
  std::set<std::string, std::less<>> known_;
  std::string wrong_;
};

struct CheckRow {
  std::string_view name;       // as in checks.builtin.<name>
  std::string_view module;     // cpu, memory, disk, network, gpu …
  std::string_view condition;  // CamelCase, also the reason
  std::string_view doc;
  v1::CheckLevel level = v1::CHECK_LEVEL_WARNING;
  int interval_s = 60;
  std::string_view suggestion;
  std::unique_ptr<Check> (*make)(CheckParameters& parameters) = nullptr;
};

// Reading this array is reading what is checked.
std::span<const CheckRow> CheckCatalogue();
const CheckRow* FindCheck(std::string_view name);
// kInvalidArgument: a parameter that the check does not have.
Result<std::unique_ptr<Check>> MakeCheck(const CheckRow& row,
                                         const std::map<std::string, std::string>& parameters);

}  // namespace faultline
