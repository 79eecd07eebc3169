#include "agent/faults/http_rules.h"

#include <boost/json.hpp>

#include <algorithm>

#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

std::string TextOf(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

// {"name": "value"} or [["name", "value"], …].
Result<HttpHeaders> ReadPairs(const FaultSpec& spec, const std::string& name) {
  HttpHeaders pairs;
  if (!spec.Has(name)) return pairs;
  boost::system::error_code error;
  const json::value value = json::parse(spec.Text(name), error);
  const auto bad = Fail(ErrorCode::kInvalidArgument,
                        "parameters.{}: neither a JSON object nor an array of pairs", name);
  if (error) return bad;
  if (value.is_object()) {
    for (const auto& [key, item] : value.get_object())
      pairs.emplace_back(std::string(key), TextOf(item));
  } else if (value.is_array()) {
    for (const json::value& item : value.get_array()) {
      if (!item.is_array() || item.get_array().size() != 2) return bad;
      pairs.emplace_back(TextOf(item.get_array()[0]), TextOf(item.get_array()[1]));
    }
  } else {
    return bad;
  }
  for (const auto& [key, text] : pairs) {
    if (key.empty() || (key + text).find_first_of("\r\n") != std::string::npos)
      return Fail(ErrorCode::kInvalidArgument, "parameters.{}: a name or value is not plain", name);
  }
  return pairs;
}

bool Has(const HttpMessageHead& head, const HttpHeaders& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& header) {
    return head.Header(header.first) == header.second;
  });
}

// RFC 7386.
void Merge(json::value& target, const json::value& patch) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target = json::object();
  for (const auto& [key, value] : patch.get_object()) {
    if (value.is_null()) {
      target.get_object().erase(key);
    } else {
      Merge(target.get_object()[key], value);
    }
  }
}

std::string WithQueries(const HttpRules& rules, const std::string& target) {
  const size_t mark = target.find('?');
  const std::string path = target.substr(0, mark);
  std::string queries;
  const auto add = [&](std::string_view text) {
    queries += (queries.empty() ? "" : "&") + std::string(text);
  };
  if (mark != std::string::npos) {
    const std::string all = target.substr(mark + 1);
    for (const std::string_view one : Split(all, '&')) {
      const std::string_view key = one.substr(0, one.find('='));
      const bool replaced = std::any_of(rules.set_queries.begin(), rules.set_queries.end(),
                                        [&](const auto& query) { return query.first == key; });
      if (!replaced && !one.empty()) add(one);
    }
  }
  for (const auto& [key, value] : rules.set_queries) add(key + "=" + value);
  for (const auto& [key, value] : rules.add_queries) add(key + "=" + value);
  return queries.empty() ? path : path + "?" + queries;
}

}  // namespace

Result<HttpRules> ReadHttpRules(const FaultSpec& spec) {
  HttpRules rules;
  rules.on_response = spec.Text("target") == "Response";
  rules.port = static_cast<uint16_t>(spec.Integer("port"));
  const std::vector<std::string> ports = spec.List("proxy_ports");
  if (rules.port == 0 && ports.size() == 1) {
    const auto port = ParseUint(ports.front());
    if (port && *port > 0 && *port < 65536) rules.port = static_cast<uint16_t>(*port);
  }
  if (rules.port == 0) return Fail(ErrorCode::kInvalidArgument, "parameters.port: one is needed");
  rules.path = spec.Text("path");
  rules.method = spec.Text("method");
  rules.code = static_cast<int>(spec.Integer("code"));
  FAULTLINE_ASSIGN(rules.request_headers, ReadPairs(spec, "request_headers"));
  FAULTLINE_ASSIGN(rules.response_headers, ReadPairs(spec, "response_headers"));
  rules.abort = spec.fault == "http_abort" || spec.Flag("abort");
  rules.delay_ns = spec.DurationNs("delay");
  rules.new_path = spec.Text("replace.path");
  rules.new_method = spec.Text("replace.method");
  rules.new_code = static_cast<int>(spec.Integer("replace.code"));
  FAULTLINE_ASSIGN(rules.set_headers, ReadPairs(spec, "replace.headers"));
  FAULTLINE_ASSIGN(rules.add_headers, ReadPairs(spec, "patch.headers"));
  FAULTLINE_ASSIGN(rules.set_queries, ReadPairs(spec, "replace.queries"));
  FAULTLINE_ASSIGN(rules.add_queries, ReadPairs(spec, "patch.queries"));
  rules.replaces_body = spec.Has("replace.body");
  rules.new_body = spec.Text("replace.body");
  rules.merge_body = spec.Text("patch.body.value");
  boost::system::error_code error;
  if (!rules.merge_body.empty()) (void)json::parse(rules.merge_body, error);
  if (error) return Fail(ErrorCode::kInvalidArgument, "parameters.patch.body.value: no JSON");
  const bool changes = !rules.new_path.empty() || !rules.new_method.empty() ||
                       rules.new_code != 0 || !rules.set_headers.empty() ||
                       !rules.add_headers.empty() || !rules.set_queries.empty() ||
                       !rules.add_queries.empty() || rules.ChangesBody();
  if (spec.fault == "http_delay" && rules.delay_ns <= 0)
    return Fail(ErrorCode::kInvalidArgument, "parameters.delay: is missing");
  if ((spec.fault == "http_replace" || spec.fault == "http_patch") && !changes)
    return Fail(ErrorCode::kInvalidArgument, "parameters.{}.headers: nothing is to be changed",
                spec.fault.substr(5));
  if (rules.on_response &&
      (!rules.new_path.empty() || !rules.new_method.empty() || !rules.set_queries.empty()))
    return Fail(ErrorCode::kInvalidArgument,
                "parameters.replace.path: a response has neither path nor method nor queries");
  if (!rules.on_response &&
      (rules.new_code != 0 || rules.code != 0 || !rules.response_headers.empty()))
    return Fail(ErrorCode::kInvalidArgument, "parameters.code: a request has no status code");
  return rules;
}

bool MeansRequest(const HttpRules& rules, const HttpMessageHead& request) {
  const bool path = rules.path.empty() || GlobMatch(rules.path, request.target) ||
                    GlobMatch(rules.path, request.Path());
  return path && (rules.method.empty() || rules.method == request.method) &&
         Has(request, rules.request_headers);
}

bool MeansResponse(const HttpRules& rules, const HttpMessageHead& request, const HttpMessageHead& response) {
  return MeansRequest(rules, request) && (rules.code == 0 || rules.code == response.code) &&
         Has(response, rules.response_headers);
}

void ChangeHead(const HttpRules& rules, HttpMessageHead& head) {
  if (!head.is_response) {
    if (!rules.new_path.empty()) {
      const size_t mark = head.target.find('?');
      head.target = rules.new_path + (mark == std::string::npos ? "" : head.target.substr(mark));
    }
    if (!rules.new_method.empty()) head.method = rules.new_method;
    head.target = WithQueries(rules, head.target);
  } else if (rules.new_code != 0) {
    head.code = rules.new_code;
    head.reason = "Changed";
  }
  for (const auto& [name, value] : rules.set_headers) head.Set(name, value);
  for (const auto& [name, value] : rules.add_headers) head.Add(name, value);
}

std::string ChangeBody(const HttpRules& rules, const std::string& body) {
  if (rules.replaces_body) return rules.new_body;
  if (rules.merge_body.empty()) return body;
  boost::system::error_code error;
  json::value value = json::parse(body.empty() ? "{}" : body, error);
  if (error) return body;  // no JSON: there is nothing to merge into
  Merge(value, json::parse(rules.merge_body));
  return json::serialize(value);
}

std::string DescribeHttp(const HttpRules& rules) {
  std::string text = rules.on_response ? "responses" : "requests";
  if (!rules.method.empty()) text += " " + rules.method;
  if (!rules.path.empty()) text += " " + rules.path;
  if (rules.code != 0) text += fmt::format(" with {}", rules.code);
  if (rules.abort) text += ": connection cut";
  if (rules.delay_ns > 0) text += fmt::format(": {} ms later", rules.delay_ns / 1'000'000);
  return text;
}

}  // namespace faultline
