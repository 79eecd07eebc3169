// Arguments of programs as text, without what looks like a secret. Pure.
#pragma once

#include <string>
#include <string_view>

namespace faultline {

enum class Arguments { kNone, kRedacted, kAll };

// Of `none`, `redacted` or `all`; anything else is kRedacted.
Arguments ArgumentsShown(std::string_view configured);
// `raw` is argv as the kernel keeps it, each ended by a zero, perhaps cut. The values of options
// and variables whose names speak of secrets (--password x, token=x, -pSECRET of mysql …) and the
// user parts of URLs are shown as ***.
std::string ArgumentsText(std::string_view raw, Arguments shown);

}  // namespace faultline
