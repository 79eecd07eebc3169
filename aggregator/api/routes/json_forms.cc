#include "aggregator/api/routes/json_forms.h"

#include <cmath>

#include "common/text.h"

namespace faultline::routes {

namespace json = boost::json;

namespace {

void AddText(json::object& object, std::string_view name, std::string_view text) {
  if (!text.empty()) object[name] = json::string(ReplaceInvalidUtf8(text));
}

void AddTime(json::object& object, std::string_view name, int64_t unix_ns) {
  if (unix_ns != 0) object[name] = json::string(FormatTime(unix_ns));
}

}  // namespace

json::object SubjectJson(const v1::Subject& subject) {
  json::object object;
  AddText(object, "namespace", subject.namespace_());
  AddText(object, "pod", subject.pod());
  AddText(object, "container", subject.container());
  AddText(object, "containerId", subject.container_id());
  AddText(object, "cgroup", subject.cgroup());
  if (subject.pid() != 0) object["pid"] = subject.pid();
  AddText(object, "comm", subject.comm());
  return object;
}

json::object NodeJson(const NodeState& node, int64_t now_unix_ns) {
  json::object object;
  AddText(object, "node", node.node);
  object["up"] = node.up;
  AddText(object, "version", node.version);
  AddText(object, "bootId", node.boot_id);
  AddTime(object, "firstSeen", node.first_seen_unix_ns);
  AddTime(object, "lastSeen", node.last_seen_unix_ns);
  object["lastSeenSeconds"] = static_cast<double>(now_unix_ns - node.last_seen_unix_ns) / 1e9;
  object["clockOffsetNs"] = node.clock_offset_ns;
  object["roundTripNs"] = node.round_trip_ns;
  object["committedSequence"] = node.committed_sequence;
  object["spoolBytes"] = node.spool_bytes;
  object["batches"] = node.batches;
  object["bytes"] = node.bytes;
  object["containers"] = node.inventory.containers_size();
  json::array capabilities;
  for (const std::string& capability : node.capabilities) capabilities.emplace_back(capability);
  object["capabilities"] = std::move(capabilities);
  json::object facts;
  for (const auto& [name, value] : node.inventory.facts()) AddText(facts, name, value);
  object["facts"] = std::move(facts);
  return object;
}

Reply JsonReply(const json::value& value, int status) {
  Reply reply;
  reply.status = status;
  reply.body = json::serialize(value) + "\n";
  return reply;
}

Reply SuccessReply(json::value value) {
  return JsonReply(json::object{{"status", "success"}, {"data", std::move(value)}});
}

Result<int64_t> ParseTimeParameter(std::string_view name, std::string_view text) {
  if (const auto time = ParseTime(text)) return *time;
  if (const auto seconds = ParseDouble(text); seconds && std::abs(*seconds) < 9e9) {
    return static_cast<int64_t>(std::llround(*seconds * 1e3)) * kNsPerMs;
  }
  return Fail(ErrorCode::kInvalidArgument, "{}: '{}' is neither RFC 3339 nor seconds since 1970", name, text);
}

}  // namespace faultline::routes
