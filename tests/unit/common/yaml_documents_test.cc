#include "common/yaml_documents.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

TEST(CheckYamlDocuments, CountsDocuments) {
  EXPECT_TRUE(CheckYamlDocuments("", 1, "a"));
  EXPECT_TRUE(CheckYamlDocuments("a: 1\n", 1, "a"));
  EXPECT_TRUE(CheckYamlDocuments("a: 1\n---\nb: 2\n", 2, "a"));
  EXPECT_FALSE(CheckYamlDocuments("a: 1\n---\nb: 2\n", 1, "a"));
}

// One comma is enough for yaml-cpp to make documents until memory ends.
TEST(CheckYamlDocuments, EndsAtStrayTokens) {
  // It must end; whether it is refused here or by the parser depends on the token.
  for (const char* text : {"a: 1\n]", "{},", "}", "a\n,"}) (void)CheckYamlDocuments(text, 1000, "a");
  EXPECT_FALSE(CheckYamlDocuments(",", 1000, "a"));
}

TEST(CheckYamlDocuments, LeavesBadTextToTheParser) {
  EXPECT_TRUE(CheckYamlDocuments("a: [", 1, "a"));
}

}  // namespace
}  // namespace faultline
