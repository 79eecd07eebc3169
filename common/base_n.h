// Base64 and hexadecimal (RFC 4648).
#pragma once

#include <string>
#include <string_view>

namespace faultline {

// Of one digit, in either case; -1 if it is none.
int HexDigit(char c);
std::string ToBase64(std::string_view bytes);
std::string ToHex(std::string_view bytes);
// Empty if it is no hexadecimal text of whole bytes.
std::string FromHex(std::string_view hex);

}  // namespace faultline
