// Zstandard frames inside stored values, with one reusable context per thread: commits compress
// many small pieces.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"

namespace faultline::store {

// Appends size and frame; small or incompressible text is stored as it is.
void CompressTo(std::string_view text, int level, std::string& out);
// kCorruption for bad input, kResourceExhausted beyond `max_bytes`.
Result<std::string> Uncompress(std::string_view bytes, size_t max_bytes);

}  // namespace faultline::store
