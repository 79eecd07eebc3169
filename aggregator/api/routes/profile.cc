// POST /api/v1/nodes/{node}/profile: where the CPUs of a node spend their time, for `seconds` from
// now. The answer comes when the profile is over; its stacks are stored too, as log records of
// {job="cpu_profile"}. Parameters namespace, pod, container (globs) choose; format json, or folded:
// lines `container;thread;outermost;…;innermost samples`, which flame graphs are made of.
#include <atomic>

#include "aggregator/api/routes/json_forms.h"
#include "aggregator/api/routes/routes.h"
#include "common/text.h"

namespace faultline::routes {
namespace {

namespace json = boost::json;

constexpr uint64_t kDefaultSeconds = 10;
constexpr uint64_t kMostSeconds = 60;
constexpr int64_t kGraceNs = 35 * kNsPerSecond;  // for the pass that ends it, and for the names
constexpr int kMostAtATime = 2;                  // each holds a worker

struct Turn {
  static inline std::atomic<int> taken = 0;
  const int number = taken.fetch_add(1);
  Turn() = default;
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { taken.fetch_sub(1); }
};

Result<uint64_t> Seconds(const Request& request) {
  const std::string_view text = request.Parameter("seconds");
  if (text.empty()) return kDefaultSeconds;
  const auto seconds = ParseUint(text);
  if (!seconds || *seconds == 0 || *seconds > kMostSeconds) {
    return Fail(ErrorCode::kInvalidArgument, "seconds: '{}' is not a number within 1 and {}", text,
                kMostSeconds);
  }
  return *seconds;
}

bool IsChosen(const Request& request, const v1::Subject& subject) {
  const std::pair<std::string_view, const std::string*> fields[] = {
      {"namespace", &subject.namespace_()}, {"pod", &subject.pod()}, {"container", &subject.container()}};
  return std::ranges::all_of(fields, [&](const auto& field) {
    const std::string_view wanted = request.Parameter(field.first);
    return wanted.empty() || GlobMatch(wanted, *field.second);
  });
}

std::string NameOf(const v1::Subject& subject) {
  std::string name;
  for (const std::string* part : {&subject.namespace_(), &subject.pod(), &subject.container()}) {
    if (!part->empty()) name += (name.empty() ? "" : "/") + *part;
  }
  return name.empty() ? "node" : name;
}

Reply FoldedReply(const Request& request, const v1::CpuProfile& profile) {
  Reply reply;
  reply.content_type = "text/plain; charset=utf-8";
  for (const v1::ContainerStacks& container : profile.containers()) {
    if (!IsChosen(request, container.subject())) continue;
    for (const std::string& stack : container.stacks())
      reply.body += NameOf(container.subject()) + ";" + stack + "\n";
  }
  return reply;
}

json::value ProfileJson(const Request& request, const v1::CpuProfile& profile) {
  json::array containers;
  for (const v1::ContainerStacks& container : profile.containers()) {
    if (!IsChosen(request, container.subject())) continue;
    json::object object = SubjectJson(container.subject());
    object["samples"] = container.samples();
    object["stacks"] = json::array(container.stacks().begin(), container.stacks().end());
    containers.push_back(std::move(object));
  }
  return json::object{{"node", request.PathValue("node")},
                      {"begin", FormatTime(profile.begin_unix_ns())},
                      {"end", FormatTime(profile.end_unix_ns())},
                      {"frequencyHz", profile.frequency_hz()},
                      {"containers", std::move(containers)}};
}

}  // namespace

Result<Reply> ProfileNode(const Request& request, ApiContext& context) {
  if (context.fleet == nullptr) return Fail(ErrorCode::kUnavailable, "no fleet here");
  FAULTLINE_ASSIGN(const uint64_t seconds, Seconds(request));
  const std::string_view format = request.Parameter("format");
  if (!format.empty() && format != "json" && format != "folded")
    return Fail(ErrorCode::kInvalidArgument, "format: '{}' is not json or folded", format);
  const Turn turn;
  if (turn.number >= kMostAtATime)
    return Fail(ErrorCode::kResourceExhausted, "{} profiles are being made", kMostAtATime);
  v1::Command command;
  command.set_requested_by(request.principal);
  command.set_deadline_unix_ns(context.clock->UnixNs() +
                               static_cast<int64_t>(seconds) * kNsPerSecond + kGraceNs);
  command.mutable_profile_cpu()->set_seconds(static_cast<uint32_t>(seconds));
  FAULTLINE_ASSIGN(const v1::CommandReply reply,
                   context.fleet->Call(std::string(request.PathValue("node")), std::move(command)));
  if (format == "folded") return FoldedReply(request, reply.profile());
  return SuccessReply(ProfileJson(request, reply.profile()));
}

}  // namespace faultline::routes
