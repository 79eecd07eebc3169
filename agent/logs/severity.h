// How bad a log line says it is, where that is beyond doubt.
#pragma once

#include <string_view>

#include "faultline/v1/record.pb.h"

namespace faultline {

// error, WARN, crit …; SEVERITY_UNSPECIFIED: no such level.
v1::Severity SeverityOfWord(std::string_view word);
// `E1120 12:00:00.…`
v1::Severity SeverityOfKlog(std::string_view text);
// Reads only the first few hundred bytes. SEVERITY_UNSPECIFIED when in doubt.
v1::Severity SeverityOfText(std::string_view body);

}  // namespace faultline
