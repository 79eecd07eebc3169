// Zstandard frames inside stored values, with one reusable context per thread: commits compress
// many small pieces.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "aggregator/store/bytes.h"
#include "common/result.h"

namespace faultline::store {

// Appends size and frame; small or incompressible text is stored as it is.
void CompressTo(std::string_view text, int level, std::string& out);
// kCorruption for bad input, kResourceExhausted beyond `max_bytes`.
Result<std::string> Uncompress(std::string_view bytes, size_t max_bytes);

// A short column with an entropy code of its own: varint size of the code and the code, or 0 and
// the bytes as they are. The reader knows how many bytes it was.
void PackColumn(std::string_view column, std::string& out);
// False for bytes that PackColumn never writes.
bool UnpackColumn(ByteReader& in, std::span<char> column);

}  // namespace faultline::store
