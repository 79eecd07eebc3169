// A small blocking HTTP client for the aggregator's API. Beast is in the .cc only.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"

namespace faultline::cli {

struct ApiOptions {
  std::string server = "http://127.0.0.1:8710";  // http:// or https://
  std::string token;                             // never printed
  int timeout_s = 130;
};

using Parameters = std::vector<std::pair<std::string, std::string>>;

std::string UrlEncode(std::string_view text);

class ApiClient {
 public:
  explicit ApiClient(ApiOptions options) : options_(std::move(options)) {}

  // The body of a 2xx reply. Anything else is an error with the server's own words; its code is from the status.
  Result<std::string> Call(std::string_view method, const std::string& path, const Parameters& parameters = {},
                           const std::string& body = {}, std::string_view content_type = "application/json") const;
  Result<boost::json::value> Json(std::string_view method, const std::string& path, const Parameters& parameters = {},
                                  const std::string& body = {}) const;
  // The `data` of {"status":"success","data":…}.
  Result<boost::json::value> Data(const std::string& path, const Parameters& parameters = {}) const;
  // Lines of a streamed reply, until `on_line` returns false or the server ends it.
  Result<void> Stream(const std::string& path, const Parameters& parameters,
                      const std::function<bool(std::string_view)>& on_line) const;

 private:
  ApiOptions options_;
};

}  // namespace faultline::cli
