#include "common/token.h"

#include <openssl/crypto.h>

#include <fstream>

namespace faultline {

Result<std::string> ReadTokenFile(std::string_view key, const std::string& file) {
  std::ifstream in(file);
  std::string token;
  if (!std::getline(in, token) || token.empty())
    return Fail(ErrorCode::kInvalidArgument, "{}: {} cannot be read or is empty", key, file);
  return token;
}

bool SameToken(std::string_view given, std::string_view known) {
  return given.size() == known.size() &&
         CRYPTO_memcmp(given.data(), known.data(), known.size()) == 0;
}

}  // namespace faultline
