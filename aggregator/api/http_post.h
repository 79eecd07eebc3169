// One POST to another program's http:// or https:// address. Blocks; the limit holds for the whole
// exchange.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"

namespace faultline {

// 2xx is fine; anything else is an error with the status. `token` goes as a bearer token when not
// empty, and is never logged.
Result<void> HttpPost(const std::string& url, const std::string& token, const std::string& body,
                      int64_t limit_ns);

}  // namespace faultline
