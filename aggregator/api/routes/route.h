// A route answers one path. Handlers run on a worker thread of the HTTP server and may block within the
// request's deadline. Add one: a file here, and its row in catalogue.cc.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/result.h"

namespace faultline {

class Store;
class Fleet;
class Objects;
class GroundTruth;
class Experiments;
class Diagnoser;
class Checks;
class SelfMetrics;
namespace alerts {
class RuleEngine;
class Notifier;
}  // namespace alerts

enum class Role { kAnyone, kViewer, kOperator, kAdmin };  // kAnyone: no token needed (probes)

struct Request {
  std::string method;
  std::string path;                                        // decoded, without query
  std::vector<std::pair<std::string, std::string>> parameters;  // query string, then form body; decoded
  std::vector<std::pair<std::string, std::string>> path_values;  // of {name} in the route's path
  std::vector<std::pair<std::string, std::string>> headers;      // names in lower case
  std::string body;                                        // content-encoding already undone (gzip), bounded
  std::string principal;                                   // who asks; "anonymous" without authentication
  Role role = Role::kViewer;
  std::string remote;                                      // address and port of the client
  int64_t deadline_steady_ns = 0;

  std::string_view Parameter(std::string_view name) const;  // first one; empty if absent
  std::vector<std::string_view> Parameters(std::string_view name) const;
  std::string_view PathValue(std::string_view name) const;
  std::string_view Header(std::string_view lower_case_name) const;
};

// A body that is produced piece by piece (watch, export). Next blocks up to a second; an empty string means
// "nothing yet", nullopt the end.
class BodyStream {
 public:
  virtual ~BodyStream() = default;
  virtual std::optional<std::string> Next() = 0;
};

struct Reply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::unique_ptr<BodyStream> stream;  // instead of body
  bool web_socket = false;             // each piece of the stream is a message, if the client asked for a WebSocket
};

// What handlers work with; all outlive the server. Null where a test does not need it.
struct ApiContext {
  Store* store = nullptr;
  Fleet* fleet = nullptr;
  Objects* objects = nullptr;
  GroundTruth* ground_truth = nullptr;
  Experiments* experiments = nullptr;
  Diagnoser* diagnoser = nullptr;
  Checks* checks = nullptr;
  alerts::RuleEngine* rules = nullptr;
  alerts::Notifier* notifier = nullptr;
  SelfMetrics* self_metrics = nullptr;
  const Clock* clock = nullptr;
  uint64_t max_samples = 50'000'000;
  uint64_t max_query_series = 500'000;
  uint64_t max_read_samples = 1'000'000'000;
  uint64_t max_points = 500'000'000;
  size_t query_threads = 2;      // that work on one query
  int64_t lookback_ms = 300'000;
  std::string snapshots_folder;  // where copies of the store go; empty: none are made
  std::function<bool()> ready;  // whether /readyz says yes
};

enum class ErrorForm { kPrometheus, kKubernetes };  // what an error's body looks like

struct Route {
  std::string_view methods;  // "GET", "GET POST"
  std::string_view path;     // /api/v1/label/{name}/values
  Role role = Role::kViewer;
  ErrorForm error_form = ErrorForm::kPrometheus;
  std::string_view doc;
  Result<Reply> (*handler)(const Request&, ApiContext&) = nullptr;
  bool audited = false;  // each request is kept in the audit log, with who asked
  bool ingest = false;   // brings data: has workers of its own, so that slow queries do not hold it up
};

// Reading this array is reading the API.
std::span<const Route> RouteCatalogue();

}  // namespace faultline
