// The kinds of Chaos Mesh: what each has in its spec besides its targets and duration.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "aggregator/objects/foreign/chaos_mesh_spec.h"

namespace faultline::dialects {

struct ChaosKind {
  std::string_view kind;
  void (*read)(FieldReader& spec, TranslatedChaos& to);
  bool selects_pods = true;
};

std::span<const ChaosKind> ChaosKinds();

// Those that a script carries out (deploy/faults/).
void ReadJvm(FieldReader& spec, TranslatedChaos& to);
void ReadAws(FieldReader& spec, TranslatedChaos& to);
void ReadGcp(FieldReader& spec, TranslatedChaos& to);
void ReadAzure(FieldReader& spec, TranslatedChaos& to);

void AddFault(TranslatedChaos& to, std::string fault, boost::json::object parameters,
              std::string suffix = "");
// A field that must be there.
std::string Word(FieldReader& spec, std::string_view name);

}  // namespace faultline::dialects
