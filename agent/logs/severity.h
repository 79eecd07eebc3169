// How bad a log line says it is, where that is beyond doubt.
#pragma once

#include <string_view>

#include "faultline/v1/record.pb.h"

namespace faultline {

// Reads only the first few hundred bytes. SEVERITY_UNSPECIFIED when in doubt.
v1::Severity SeverityOfText(std::string_view body);

}  // namespace faultline
