#include "tests/support/paths.h"

namespace faultline {

std::string SourceDir() { return FAULTLINE_SOURCE_DIR; }
std::string BinaryDir() { return FAULTLINE_BINARY_DIR; }

}  // namespace faultline
