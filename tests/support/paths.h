// Where the sources and what was built from them lie. The one place that knows: so that the compiler's cache serves every
// clone of the tree.
#pragma once

#include <string>

namespace faultline {

std::string SourceDir();
std::string BinaryDir();  // of the preset; programs are in its bin/

}  // namespace faultline
