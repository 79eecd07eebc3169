// The spec of one Chaos Mesh kind, read into faults of ours: what chaos_mesh.cc needs for a
// manifest that stands alone and for the ones inside of schedules and workflows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "aggregator/objects/field_reader.h"
#include "common/result.h"

namespace faultline::dialects {

struct TranslatedFault {
  std::string suffix;  // of the object's name when a manifest makes several
  std::string fault;
  boost::json::object parameters;
};

struct TranslatedChaos {
  boost::json::object spec;  // selector, mode, value, duration, target of ours
  std::vector<TranslatedFault> faults;
  std::vector<std::string> notes;  // what a reader should know about the translation
  std::string cron;                // of the `scheduler` that manifests of version 1 had

  // One Experiment spec for each fault.
  std::vector<boost::json::object> Specs() const;
};

// `otherwise_duration`: for a manifest without one (the deadline of its template, or empty).
Result<TranslatedChaos> ReadChaos(std::string_view kind, FieldReader& spec,
                                  const std::string& name_space,
                                  std::string_view otherwise_duration);
bool IsChaosKind(std::string_view kind);
// networkChaos, physicalmachineChaos …: where schedules and templates keep the spec of that kind.
std::string FieldOfKind(std::string_view kind);

// The body of an attack of chaosd: `kind` is process, stress, network, disk, clock, host, jvm,
// kafka, vm, redis, file, http, user_defined; `body` has its action. Sets selector and faults.
Result<void> ReadAttack(const std::string& kind, FieldReader& body, TranslatedChaos& to);

// Moves the named fields as text: nested objects become a.b, lists stay JSON.
void MoveTexts(FieldReader& from, std::initializer_list<std::string_view> names,
               boost::json::object& to, const std::string& prefix = "");
// The same for one number that means nothing when it is 0.
void MoveUnlessZero(FieldReader& from, std::string_view name, boost::json::object& to,
                    const std::string& prefix = "");
// What people pass through to stress-ng, of which the few that say something are understood: it becomes
// parameters of the faults, a note, or a refusal.
void ReadStressOptions(FieldReader& from, std::string_view field, std::string text,
                       boost::json::object& cpu, boost::json::object& memory,
                       boost::json::object& io, TranslatedChaos& to);
// Refuses the field unless it is absent or empty.
void RefuseFilled(FieldReader& from, std::string_view name, std::string_view reason);
std::string TextOf(const boost::json::value& value);

}  // namespace faultline::dialects
