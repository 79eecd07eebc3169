// gzip of HTTP bodies; the one place that includes zlib.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"

namespace faultline {

// kResourceExhausted when the text is longer than `max_bytes`, kInvalidArgument when it is not gzip.
Result<std::string> Gunzip(std::string_view compressed, size_t max_bytes);
std::string Gzip(std::string_view text);

}  // namespace faultline
