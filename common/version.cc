#include "common/version.h"

namespace faultline {

std::string_view Version() { return FAULTLINE_VERSION; }

}  // namespace faultline
