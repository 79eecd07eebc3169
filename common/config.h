// YAML on the surface, one protobuf schema below (proto/faultline/v1/config.proto). Reading is
// strict: unknown key, wrong type and bad unit are errors "file:line:column: path: reason".
// Environment (FAULTLINE_A__B) overrides the file, --set a.b=c overrides both.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace faultline {

// Merges YAML text into `message`. `origin` is the file name for errors. Durations: `1s`; *_bytes:
// `64MiB`.
Result<void> ReadYaml(std::string_view yaml, std::string_view origin,
                      google::protobuf::Message* message);
// One `a.b.c=value`; [x, y] makes a list, anything else is taken as it stands.
Result<void> ApplySetting(std::string_view setting, std::string_view origin,
                          google::protobuf::Message* message);
// FAULTLINE_A__B=value of `environment` (as environ); unknown ones are errors, except those in
// `ignored` and those that Kubernetes makes for Services (FAULTLINE_…_PORT and the like).
Result<void> ApplyEnvironment(const char* const* environment,
                              const std::vector<std::string>& ignored,
                              google::protobuf::Message* message);

// The one of `names` that `name` was probably meant to be; empty if none is near.
std::string_view NearestName(std::string_view name, const std::vector<std::string_view>& names);

}  // namespace faultline
