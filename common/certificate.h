// X.509 certificates, as far as anybody here needs them.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/result.h"

namespace faultline {

// When the first to end of the certificates in a PEM text ends, UTC nanoseconds. kNotFound: there
// is none in it.
Result<int64_t> CertificateEnd(std::string_view pem);

}  // namespace faultline
