// What people declare: Kubernetes-shaped objects kept in the store, validated at the door, watched by controllers.
// Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "aggregator/store/store.h"
#include "common/clock.h"
#include "common/result.h"

namespace faultline {

// apiVersion, kind, metadata, spec, status as JSON. metadata.resourceVersion, uid, generation and
// creationTimestamp are the registry's.
struct Object {
  std::string kind;
  std::string name_space;  // "default" if none was given
  std::string name;
  uint64_t resource_version = 0;
  boost::json::object body;
};

struct ObjectKindRow {
  std::string_view kind;    // Experiment
  std::string_view plural;  // experiments
  std::string_view doc;
  // Checks and completes (defaults) a spec; the error names the field, as spec.duration.
  Result<void> (*validate)(boost::json::object& body) = nullptr;
  bool fixed_spec = false;  // the spec cannot change once it is there
};
std::span<const ObjectKindRow> ObjectKindCatalogue();
const ObjectKindRow* FindObjectKind(std::string_view kind_or_plural);  // null: unknown

constexpr std::string_view kApiVersion = "faultline.io/v1";

struct ObjectEvent {
  enum class Type { kAdded, kModified, kDeleted };
  Type type = Type::kAdded;
  Object object;
};

class Objects {
 public:
  Objects(Store* store, const Clock* clock);
  ~Objects();
  Result<void> Load();

  // Text is YAML or JSON; foreign kinds (chaos-mesh.org, aegis.io) are translated at the door by objects/foreign/.
  // Several YAML documents make several objects.
  Result<std::vector<boost::json::object>> Parse(std::string_view text) const;
  Result<Object> Create(boost::json::object body);
  // Creates or replaces spec, labels and annotations.
  Result<Object> Apply(boost::json::object body);
  // RFC 7386 merge patch.
  Result<Object> Patch(std::string_view kind, std::string_view name_space, std::string_view name,
                       const boost::json::value& patch);
  // Controllers only: replaces status. kNotFound if it is gone.
  Result<Object> SetStatus(std::string_view kind, std::string_view name_space, std::string_view name,
                           boost::json::object status);
  // With a finalizer in metadata.finalizers: sets deletionTimestamp, and the object goes when the last finalizer does.
  Result<void> Delete(std::string_view kind, std::string_view name_space, std::string_view name);
  Result<Object> RemoveFinalizer(std::string_view kind, std::string_view name_space, std::string_view name,
                                 std::string_view finalizer);
  Result<Object> Get(std::string_view kind, std::string_view name_space, std::string_view name) const;
  // Empty name_space: all of them. `label_selector`: a=b,c!=d,e in (f,g),h,!i.
  Result<std::vector<Object>> List(std::string_view kind, std::string_view name_space,
                                   std::string_view label_selector) const;
  // Called for every change from the thread that made it; must not block. Returns a token for Unwatch.
  uint64_t Watch(std::string_view kind, std::function<void(const ObjectEvent&)> on_event);
  // The same, after a replay: of the objects there are (as kAdded) without a version, else of what happened after it.
  // kNotFound when that is further back than is remembered: list again.
  Result<uint64_t> WatchFrom(std::string_view kind, std::optional<uint64_t> after_version,
                             std::function<void(const ObjectEvent&)> on_event);
  void Unwatch(uint64_t token);
  // Of the newest change.
  uint64_t LastVersion() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
