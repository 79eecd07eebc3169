#include "aggregator/objects/objects.h"

#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <utility>

#include "aggregator/objects/field_reader.h"
#include "aggregator/objects/label_selector.h"
#include "aggregator/objects/merge_patch.h"
#include "aggregator/objects/object_text.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr size_t kMaxObjectsPerKind = 20'000;
constexpr size_t kMaxObjectBytes = size_t{1} << 20;
constexpr size_t kMaxRememberedEvents = 2000;
constexpr size_t kMaxRememberedBytes = size_t{16} << 20;

std::string DocumentKind(std::string_view kind) { return fmt::format("object/{}", kind); }
std::string DocumentName(std::string_view name_space, std::string_view name) {
  return fmt::format("{}/{}", name_space, name);
}

std::string NewUid() {
  std::random_device random;
  uint32_t word[4];
  for (uint32_t& w : word) w = random();
  word[1] = (word[1] & 0xffff0fffu) | 0x00004000u;
  word[2] = (word[2] & 0x3fffffffu) | 0x80000000u;
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:04x}{:08x}", word[0], word[1] >> 16, word[1] & 0xffff,
                     word[2] >> 16, word[2] & 0xffff, word[3]);
}

json::object& Metadata(json::object& body) { return body["metadata"].as_object(); }

std::string StringField(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

const json::value& Field(const json::object& object, std::string_view name) {
  static const json::value kNull;
  const json::value* value = object.if_contains(name);
  return value != nullptr ? *value : kNull;
}

Object FromBody(json::object body) {
  Object object;
  const json::object& metadata = Metadata(body);
  object.kind = StringField(body, "kind");
  object.name = StringField(metadata, "name");
  object.name_space = StringField(metadata, "namespace");
  object.resource_version = ParseUint(StringField(metadata, "resourceVersion")).value_or(0);
  object.body = std::move(body);
  return object;
}

bool HasFinalizers(const json::object& metadata) {
  const json::value& finalizers = Field(metadata, "finalizers");
  return finalizers.is_array() && !finalizers.get_array().empty();
}

std::unexpected<Error> NoSuchObject(std::string_view kind, std::string_view name_space, std::string_view name) {
  return Fail(ErrorCode::kNotFound, "{} {}/{} not found", kind, name_space, name);
}

}  // namespace

const ObjectKindRow* FindObjectKind(std::string_view kind_or_plural) {
  for (const ObjectKindRow& row : ObjectKindCatalogue()) {
    if (row.kind == kind_or_plural || row.plural == kind_or_plural) return &row;
  }
  return nullptr;
}

// Two locks: `write_mutex` is held through a whole change, so that watchers see changes in order; `state_mutex`
// only while the map is touched, so that readers never wait for the disk. The first is recursive because a watcher may
// change objects from within its call.
struct Objects::Impl {
  Store* store = nullptr;
  const Clock* clock = nullptr;

  mutable std::recursive_mutex write_mutex;
  mutable std::shared_mutex state_mutex;
  std::map<std::string, std::map<std::string, Object>, std::less<>> kinds;  // kind -> namespace/name
  uint64_t last_version = 0;

  std::recursive_mutex watch_mutex;
  uint64_t last_token = 0;
  struct Watcher {
    std::string kind;
    std::function<void(const ObjectEvent&)> on_event;
  };
  std::map<uint64_t, Watcher> watchers;

  // What happened lately, so that a watch can go on where a list or an older watch ended.
  struct Remembered {
    ObjectEvent event;
    size_t bytes = 0;
  };
  std::deque<Remembered> history;
  size_t history_bytes = 0;
  uint64_t forgotten_version = 0;  // newest version that is no longer remembered

  // Versions go up for ever, over restarts too: microseconds of the clock, or one more than the last.
  uint64_t NextVersion() {
    last_version = std::max(last_version + 1, static_cast<uint64_t>(std::max<int64_t>(clock->UnixNs(), 0)) / 1000);
    return last_version;
  }

  void Notify(ObjectEvent::Type type, const Object& object, size_t bytes) {
    std::lock_guard lock(watch_mutex);
    history.push_back({{type, object}, bytes});
    history_bytes += bytes;
    while (history.size() > kMaxRememberedEvents || history_bytes > kMaxRememberedBytes) {
      forgotten_version = history.front().event.object.resource_version;
      history_bytes -= history.front().bytes;
      history.pop_front();
    }
    // A watcher may end its own watch.
    std::vector<std::function<void(const ObjectEvent&)>> calls;
    for (const auto& [token, watcher] : watchers) {
      if (watcher.kind == object.kind) calls.push_back(watcher.on_event);
    }
    for (const auto& call : calls) call({type, object});
  }

  Result<Object> Find(std::string_view kind, std::string_view name_space, std::string_view name) const {
    std::shared_lock lock(state_mutex);
    const auto of_kind = kinds.find(kind);
    if (of_kind != kinds.end()) {
      const auto found = of_kind->second.find(DocumentName(name_space, name));
      if (found != of_kind->second.end()) return found->second;
    }
    return NoSuchObject(kind, name_space, name);
  }

  // Stores and announces `body`, whose metadata is complete but for the version.
  Result<Object> Put(json::object body, ObjectEvent::Type type) {
    const uint64_t version = NextVersion();
    Metadata(body)["resourceVersion"] = json::string(std::to_string(version));
    Object object = FromBody(std::move(body));
    const std::string text = json::serialize(object.body);
    if (text.size() > kMaxObjectBytes) {
      return Fail(ErrorCode::kInvalidArgument, "object is larger than {} bytes", kMaxObjectBytes);
    }
    const std::string name = DocumentName(object.name_space, object.name);
    FAULTLINE_TRY(store->PutDocument(DocumentKind(object.kind), name, text));
    {
      std::unique_lock lock(state_mutex);
      kinds[object.kind][name] = object;
    }
    Notify(type, object, text.size());
    return object;
  }

  Result<void> Remove(Object object) {
    const std::string name = DocumentName(object.name_space, object.name);
    FAULTLINE_TRY(store->DeleteDocument(DocumentKind(object.kind), name));
    {
      std::unique_lock lock(state_mutex);
      kinds[object.kind].erase(name);
    }
    object.resource_version = NextVersion();
    Metadata(object.body)["resourceVersion"] = json::string(std::to_string(object.resource_version));
    Notify(ObjectEvent::Type::kDeleted, object, json::serialize(object.body).size());
    return {};
  }

  // `wanted` has been validated; `old` is what is there.
  Result<Object> Replace(const Object& old, json::object wanted) {
    const ObjectKindRow* row = FindObjectKind(old.kind);
    json::object body = old.body;
    json::object& metadata = Metadata(body);
    const json::object& wanted_metadata = Metadata(wanted);
    const std::string version = StringField(wanted_metadata, "resourceVersion");
    if (!version.empty() && version != StringField(metadata, "resourceVersion")) {
      return Fail(ErrorCode::kConflict,
                  "{} {}/{} has changed since version {} was read; read it again and apply your change to that",
                  old.kind, old.name_space, old.name, version);
    }
    for (const std::string_view name : {"labels", "annotations"}) {
      if (Field(wanted_metadata, name).is_object()) metadata[name] = Field(wanted_metadata, name);
      else metadata.erase(name);
    }
    if (Field(wanted_metadata, "finalizers").is_array()) {
      metadata["finalizers"] = Field(wanted_metadata, "finalizers");
    }
    if (Field(wanted, "spec") != Field(body, "spec")) {
      if (row != nullptr && row->fixed_spec) {
        return Fail(ErrorCode::kInvalidArgument, "spec: of {} {}/{} cannot change; delete it and make a new one",
                    old.kind, old.name_space, old.name);
      }
      body["spec"] = Field(wanted, "spec");
      metadata["generation"] = Field(metadata, "generation").to_number<int64_t>() + 1;
    }
    if (body == old.body) return old;  // nothing changed: no new version, no event
    if (metadata.contains("deletionTimestamp") && !HasFinalizers(metadata)) {
      Object object = FromBody(std::move(body));
      FAULTLINE_TRY(Remove(object));
      return object;
    }
    return Put(std::move(body), ObjectEvent::Type::kModified);
  }
};

Objects::Objects(Store* store, const Clock* clock) : impl_(std::make_unique<Impl>()) {
  impl_->store = store;
  impl_->clock = clock;
}

Objects::~Objects() = default;

Result<void> Objects::Load() {
  std::lock_guard write(impl_->write_mutex);
  std::unique_lock lock(impl_->state_mutex);
  for (const ObjectKindRow& row : ObjectKindCatalogue()) {
    FAULTLINE_ASSIGN(const auto documents, impl_->store->ListDocuments(DocumentKind(row.kind)));
    for (const auto& [name, text] : documents) {
      boost::system::error_code error;
      json::value value = json::parse(text, error);
      if (error || !value.is_object() || !Field(value.get_object(), "metadata").is_object()) {
        spdlog::error("{} {} in the store is not an object and is left out", row.kind, name);
        continue;
      }
      Object object = FromBody(std::move(value.get_object()));
      impl_->last_version = std::max(impl_->last_version, object.resource_version);
      impl_->kinds[std::string(row.kind)][name] = std::move(object);
    }
  }
  impl_->forgotten_version = impl_->last_version;
  return {};
}

Result<std::vector<json::object>> Objects::Parse(std::string_view text) const { return ParseObjects(text); }

Result<Object> Objects::Create(json::object body) {
  FAULTLINE_TRY(ValidateObject(body));
  std::lock_guard write(impl_->write_mutex);
  json::object& metadata = Metadata(body);
  if (StringField(metadata, "namespace").empty()) metadata["namespace"] = "default";
  const std::string kind = StringField(body, "kind"), name_space = StringField(metadata, "namespace"),
                    name = StringField(metadata, "name");
  if (impl_->Find(kind, name_space, name)) {
    return Fail(ErrorCode::kConflict, "{} {}/{} is there already", kind, name_space, name);
  }
  {
    std::shared_lock lock(impl_->state_mutex);
    const auto of_kind = impl_->kinds.find(kind);
    if (of_kind != impl_->kinds.end() && of_kind->second.size() >= kMaxObjectsPerKind) {
      return Fail(ErrorCode::kResourceExhausted, "there are {} objects of kind {} already", kMaxObjectsPerKind, kind);
    }
  }
  for (const std::string_view owned : {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields",
                                       "generateName"}) {
    metadata.erase(owned);
  }
  metadata["uid"] = json::string(NewUid());
  metadata["generation"] = 1;
  metadata["creationTimestamp"] = json::string(FormatTime(impl_->clock->UnixNs()));
  body.erase("status");
  return impl_->Put(std::move(body), ObjectEvent::Type::kAdded);
}

Result<Object> Objects::Apply(json::object body) {
  FAULTLINE_TRY(ValidateObject(body));
  std::lock_guard write(impl_->write_mutex);
  const json::object& metadata = Metadata(body);
  const std::string name_space = StringField(metadata, "namespace");
  const auto old = impl_->Find(StringField(body, "kind"), name_space.empty() ? "default" : name_space,
                               StringField(metadata, "name"));
  if (!old) return Create(std::move(body));
  return impl_->Replace(*old, std::move(body));
}

Result<Object> Objects::Patch(std::string_view kind, std::string_view name_space, std::string_view name,
                              const json::value& patch) {
  if (!patch.is_object()) return Fail(ErrorCode::kInvalidArgument, "a merge patch of an object is an object");
  std::lock_guard write(impl_->write_mutex);
  FAULTLINE_ASSIGN(const Object old, impl_->Find(kind, name_space, name));
  json::value wanted = old.body;
  Metadata(wanted.as_object()).erase("resourceVersion");  // only a patch that names one asks for it
  MergePatch(wanted, patch);
  json::object& body = wanted.as_object();
  FAULTLINE_TRY(ValidateObject(body));
  const json::object& metadata = Metadata(body);
  if (StringField(body, "kind") != kind || StringField(metadata, "name") != name ||
      StringField(metadata, "namespace") != name_space) {
    return Fail(ErrorCode::kInvalidArgument, "metadata: a patch cannot change kind, namespace or name");
  }
  return impl_->Replace(old, std::move(body));
}

Result<Object> Objects::SetStatus(std::string_view kind, std::string_view name_space, std::string_view name,
                                  json::object status) {
  std::lock_guard write(impl_->write_mutex);
  FAULTLINE_ASSIGN(const Object old, impl_->Find(kind, name_space, name));
  if (Field(old.body, "status") == json::value(status)) return old;
  json::object body = old.body;
  body["status"] = std::move(status);
  return impl_->Put(std::move(body), ObjectEvent::Type::kModified);
}

Result<void> Objects::Delete(std::string_view kind, std::string_view name_space, std::string_view name) {
  std::lock_guard write(impl_->write_mutex);
  FAULTLINE_ASSIGN(const Object old, impl_->Find(kind, name_space, name));
  json::object body = old.body;
  json::object& metadata = Metadata(body);
  if (!HasFinalizers(metadata)) return impl_->Remove(old);
  if (metadata.contains("deletionTimestamp")) return {};
  metadata["deletionTimestamp"] = json::string(FormatTime(impl_->clock->UnixNs()));
  FAULTLINE_TRY(impl_->Put(std::move(body), ObjectEvent::Type::kModified));
  return {};
}

Result<Object> Objects::RemoveFinalizer(std::string_view kind, std::string_view name_space, std::string_view name,
                                        std::string_view finalizer) {
  std::lock_guard write(impl_->write_mutex);
  FAULTLINE_ASSIGN(const Object old, impl_->Find(kind, name_space, name));
  json::object body = old.body;
  json::object& metadata = Metadata(body);
  json::array kept;
  if (HasFinalizers(metadata)) {
    for (const json::value& item : metadata["finalizers"].get_array()) {
      if (!item.is_string() || item.get_string() != finalizer) kept.push_back(item);
    }
  }
  metadata["finalizers"] = std::move(kept);
  if (metadata.contains("deletionTimestamp") && !HasFinalizers(metadata)) {
    Object object = FromBody(std::move(body));
    FAULTLINE_TRY(impl_->Remove(object));
    return object;
  }
  return impl_->Put(std::move(body), ObjectEvent::Type::kModified);
}

Result<Object> Objects::Get(std::string_view kind, std::string_view name_space, std::string_view name) const {
  return impl_->Find(kind, name_space, name);
}

Result<std::vector<Object>> Objects::List(std::string_view kind, std::string_view name_space,
                                          std::string_view label_selector) const {
  FAULTLINE_ASSIGN(const LabelSelector selector, LabelSelector::Parse(label_selector));
  std::vector<Object> objects;
  std::shared_lock lock(impl_->state_mutex);
  const auto of_kind = impl_->kinds.find(kind);
  if (of_kind == impl_->kinds.end()) return objects;
  for (const auto& [name, object] : of_kind->second) {
    if (!name_space.empty() && object.name_space != name_space) continue;
    if (!selector.empty() && !selector.Matches(LabelsOf(object.body))) continue;
    objects.push_back(object);
  }
  return objects;
}

uint64_t Objects::Watch(std::string_view kind, std::function<void(const ObjectEvent&)> on_event) {
  std::lock_guard lock(impl_->watch_mutex);
  impl_->watchers[++impl_->last_token] = {std::string(kind), std::move(on_event)};
  return impl_->last_token;
}

Result<uint64_t> Objects::WatchFrom(std::string_view kind, std::optional<uint64_t> after_version,
                                    std::function<void(const ObjectEvent&)> on_event) {
  // No change can come between the replay and the watch.
  std::lock_guard write(impl_->write_mutex);
  std::lock_guard lock(impl_->watch_mutex);
  if (!after_version) {
    FAULTLINE_ASSIGN(const std::vector<Object> objects, List(kind, "", ""));
    for (const Object& object : objects) on_event({ObjectEvent::Type::kAdded, object});
    return Watch(kind, std::move(on_event));
  }
  if (*after_version < impl_->forgotten_version) {
    return Fail(ErrorCode::kNotFound, "changes after version {} are not remembered; list again", *after_version);
  }
  for (const auto& [event, bytes] : impl_->history) {
    if (event.object.kind == kind && event.object.resource_version > *after_version) on_event(event);
  }
  return Watch(kind, std::move(on_event));
}

uint64_t Objects::LastVersion() const {
  std::lock_guard write(impl_->write_mutex);
  return impl_->last_version;
}

void Objects::Unwatch(uint64_t token) {
  std::lock_guard lock(impl_->watch_mutex);
  impl_->watchers.erase(token);
}

}  // namespace faultline
