// Looking after the store while it works: a consistent copy, and a check of what lies on disk.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "aggregator/api/routes/json_forms.h"
#include "aggregator/api/routes/query_request.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/store/store.h"
#include "common/text.h"

namespace faultline::routes {
namespace {

// As Prometheus names its own, so that scripts that know those work: 20261130T211224Z-1a2b3c4d.
std::string SnapshotName(int64_t unix_ns) {
  const time_t seconds = unix_ns / kNsPerSecond;
  struct tm utc;
  ::gmtime_r(&seconds, &utc);
  char text[32];
  const size_t size = std::strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &utc);
  return fmt::format("{}-{:08x}", std::string_view(text, size), unix_ns % kNsPerSecond);
}

}  // namespace

Result<Reply> StoreSnapshot(const Request&, ApiContext& context) {
  if (context.snapshots_folder.empty())
    return Fail(ErrorCode::kUnsupported, "this aggregator has no folder for snapshots");
  std::error_code error;
  std::filesystem::create_directories(context.snapshots_folder, error);
  if (error) return FailErrno(error.value(), "make folder {}", context.snapshots_folder);
  const std::string name = SnapshotName(context.clock->UnixNs());
  const std::string folder = context.snapshots_folder + "/" + name;
  FAULTLINE_TRY(context.store->Snapshot(folder));
  return SuccessReply(boost::json::object{{"name", name}, {"folder", folder}});
}

Result<Reply> StoreCheck(const Request&, ApiContext& context) {
  FAULTLINE_ASSIGN(const std::vector<std::string> damages, context.store->Verify());
  boost::json::array lines(damages.begin(), damages.end());
  return SuccessReply(
      boost::json::object{{"sound", damages.empty()}, {"damages", std::move(lines)}});
}

Result<Reply> Events(const Request& request, ApiContext& context) {
  constexpr size_t kMaxEvents = 10'000;
  TimeBounds bounds;
  if (auto refusal = ReadBounds(request, bounds)) return std::move(*refusal);
  const auto limit = ParseUint(request.Parameter("limit"));
  if (!request.Parameter("limit").empty() && (!limit || *limit == 0 || *limit > kMaxEvents))
    return BadParameter("limit", fmt::format("a number from 1 to {}", kMaxEvents));
  const auto in_ns = [](int64_t ms) {
    return std::clamp(ms, INT64_MIN / kNsPerMs, INT64_MAX / kNsPerMs) * kNsPerMs;
  };
  FAULTLINE_ASSIGN(const auto events,
                   context.store->Events(in_ns(bounds.start_ms), in_ns(bounds.end_ms), kMaxEvents));
  const std::string_view node = request.Parameter("node");
  const std::string_view type = request.Parameter("type");
  const std::string_view pod = request.Parameter("pod");
  boost::json::array rows;
  for (auto at = events.rbegin(); at != events.rend() && rows.size() < limit.value_or(1000); ++at) {
    const v1::Event& event = at->event;
    if ((!node.empty() && at->node != node) || (!type.empty() && event.type() != type) ||
        (!pod.empty() && event.subject().pod() != pod)) {
      continue;
    }
    boost::json::object attributes;
    for (const v1::Label& label : event.attributes()) attributes[label.name()] = label.value();
    rows.push_back(boost::json::object{{"time", FormatTime(event.time_unix_ns())},
                                       {"node", at->node},
                                       {"type", event.type()},
                                       {"severity", v1::Severity_Name(event.severity())},
                                       {"subject", SubjectJson(event.subject())},
                                       {"message", event.message()},
                                       {"attributes", std::move(attributes)}});
  }
  return SuccessReply(std::move(rows));
}

}  // namespace faultline::routes
