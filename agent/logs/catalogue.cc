// Reading this array is reading which log formats are understood.
#include "agent/logs/log_parser.h"

namespace faultline {

std::span<const LogParserRow> LogParserCatalogue() { return {}; }

}  // namespace faultline
