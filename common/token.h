// Bearer tokens that are kept in files: read once, compared without telling by time how much of one
// was right. Never logged.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"

namespace faultline {

// The first line of `file`. kInvalidArgument, naming `key`: it cannot be read, or is empty.
Result<std::string> ReadTokenFile(std::string_view key, const std::string& file);
bool SameToken(std::string_view given, std::string_view known);

}  // namespace faultline
