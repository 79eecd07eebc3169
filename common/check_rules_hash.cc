#include "common/check_rules_hash.h"

#include <fmt/format.h>
#include <openssl/sha.h>

namespace faultline {

std::string CheckRulesHash(const v1::SetCheckRules& rules) {
  std::string text;
  for (const v1::CheckRuleDocument& document : rules.documents()) {
    for (const std::string* part : {&document.name(), &document.contract(), &document.text()}) {
      text += fmt::format("{}:{}", part->size(), *part);
    }
  }
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

}  // namespace faultline
