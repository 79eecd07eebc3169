#include "aggregator/api/routes/object_watch.h"

#include <chrono>

#include "aggregator/api/routes/json_forms.h"
#include "aggregator/objects/label_selector.h"
#include "aggregator/objects/object_text.h"
#include "common/bounded_queue.h"
#include "common/text.h"

namespace faultline::routes {
namespace {

namespace json = boost::json;

constexpr size_t kMaxWaitingLines = 4096;
constexpr auto kPollTime = std::chrono::milliseconds(500);

std::string GoneText(std::string_view message) {
  return json::serialize(json::object{{"kind", "Status"},
                                      {"apiVersion", "v1"},
                                      {"metadata", json::object()},
                                      {"status", "Failure"},
                                      {"message", message},
                                      {"reason", "Expired"},
                                      {"code", 410}});
}

std::string LineOf(const ObjectEvent& event) {
  static constexpr std::string_view kTypes[] = {"ADDED", "MODIFIED", "DELETED"};
  return fmt::format("{{\"type\":\"{}\",\"object\":{}}}\n", kTypes[static_cast<int>(event.type)],
                     json::serialize(event.object.body));
}

// A client that reads too slowly loses its watch, not our memory: it is told to list again.
class WatchStream final : public BodyStream {
 public:
  WatchStream(Objects& objects, std::optional<std::chrono::seconds> timeout) : objects_(objects), lines_(kMaxWaitingLines) {
    if (timeout) end_ = std::chrono::steady_clock::now() + *timeout;
  }
  ~WatchStream() override {
    if (token_ != 0) objects_.Unwatch(token_);
  }
  void set_token(uint64_t token) { token_ = token; }
  void Add(const ObjectEvent& event) {
    if (!lines_.TryPush(LineOf(event))) overflowed_ = true;
  }

  std::optional<std::string> Next() override {
    if (ended_ || (end_ && std::chrono::steady_clock::now() > *end_)) return std::nullopt;
    auto line = lines_.Pop(kPollTime);
    if (line) return line;
    if (!overflowed_) return "";
    ended_ = true;
    return fmt::format("{{\"type\":\"ERROR\",\"object\":{}}}\n", GoneText("the watch fell behind; list again"));
  }

 private:
  Objects& objects_;
  BoundedQueue<std::string> lines_;
  std::optional<std::chrono::steady_clock::time_point> end_;
  uint64_t token_ = 0;
  std::atomic<bool> overflowed_ = false;
  bool ended_ = false;
};

}  // namespace

bool FitsFieldSelector(const Request& request, const Object& object) {
  for (const std::string_view term : Split(request.Parameter("fieldSelector"), ',')) {
    if (term.empty()) continue;
    const size_t equals = term.find('=');
    const std::string_view field = term.substr(0, equals);
    std::string_view value = equals == std::string_view::npos ? "" : term.substr(equals + 1);
    if (value.starts_with('=')) value.remove_prefix(1);
    const bool fits = (field == "metadata.name" && value == object.name) ||
                      (field == "metadata.namespace" && value == object.name_space);
    if (!fits) return false;
  }
  return true;
}

Result<Reply> WatchObjects(const Request& request, Objects& objects, const ObjectKindRow& row) {
  FAULTLINE_ASSIGN(LabelSelector selector, LabelSelector::Parse(request.Parameter("labelSelector")));
  std::optional<std::chrono::seconds> timeout;
  if (const auto text = request.Parameter("timeoutSeconds"); !text.empty()) {
    const auto seconds = ParseUint(text);
    if (!seconds || *seconds > 86400) return Fail(ErrorCode::kInvalidArgument, "timeoutSeconds: '{}'", text);
    timeout = std::chrono::seconds(*seconds);
  }
  std::optional<uint64_t> after;
  if (const auto text = request.Parameter("resourceVersion"); !text.empty() && text != "0") {
    after = ParseUint(text);
    if (!after) return Fail(ErrorCode::kInvalidArgument, "resourceVersion: '{}' is not one of ours", text);
  }
  auto stream = std::make_unique<WatchStream>(objects, timeout);
  // The stream ends its watch before it goes, so that the pointer never outlives it.
  const auto token = objects.WatchFrom(
      row.kind, after,
      [sink = stream.get(), selector = std::move(selector), name_space = std::string(request.PathValue("namespace")),
       fields = request](const ObjectEvent& event) {
        if (!name_space.empty() && event.object.name_space != name_space) return;
        if (!FitsFieldSelector(fields, event.object)) return;
        if (!selector.empty() && !selector.Matches(LabelsOf(event.object.body))) return;
        sink->Add(event);
      });
  Reply reply;
  if (!token) {
    reply.status = 410;
    reply.body = GoneText(token.error().message);
    return reply;
  }
  stream->set_token(*token);
  reply.stream = std::move(stream);
  return reply;
}

}  // namespace faultline::routes
