#include "common/check_rules_hash.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

TEST(CheckRulesHash, NamesDocumentsAndTheirBorders) {
  v1::SetCheckRules none;
  EXPECT_EQ(CheckRulesHash(none), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  v1::SetCheckRules one;
  one.add_documents()->set_name("a");
  one.mutable_documents(0)->set_text("bc");
  v1::SetCheckRules other;
  other.add_documents()->set_name("ab");
  other.mutable_documents(0)->set_text("c");
  EXPECT_NE(CheckRulesHash(one), CheckRulesHash(other));
  one.set_version("7");
  one.set_hash("x");
  v1::SetCheckRules bare;
  *bare.mutable_documents() = one.documents();
  EXPECT_EQ(CheckRulesHash(one), CheckRulesHash(bare));
}

}  // namespace
}  // namespace faultline
