#include "aggregator/api/tokens.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/clock.h"

namespace faultline {
namespace {

TEST(TokensTest, FindsPlainAndHashedTokens) {
  const auto table = TokenTable::Parse(
      "# people\n"
      "0123456789abcdef viewer ann\n"
      "sha256:3465f6e6975baa864ca957f0914ecda9bf7eb601ac31ac20a5dc3d329279a843 admin bob\n",
      "tokens");
  ASSERT_TRUE(table) << table.error().message;
  const auto ann = table->Find("0123456789abcdef");
  ASSERT_TRUE(ann);
  EXPECT_EQ(ann->principal, "ann");
  EXPECT_EQ(ann->role, Role::kViewer);
  EXPECT_FALSE(table->Find("0123456789abcdeF"));
  EXPECT_FALSE(table->Find(""));
  EXPECT_EQ(table->size(), 2u);
}

TEST(TokensTest, ErrorsNameLineAndReasonAndNoToken) {
  const auto refused = [](std::string_view text) {
    const auto table = TokenTable::Parse(text, "t");
    return table ? "accepted" : table.error().message;
  };
  EXPECT_EQ(refused("\n0123456789abcdef viewer\n"), "t:2: expected TOKEN ROLE PRINCIPAL");
  EXPECT_EQ(refused("0123456789abcdef root ann"), "t:1: role must be viewer, operator or admin");
  EXPECT_EQ(refused("short viewer ann"), "t:1: token is shorter than 16 characters");
  EXPECT_EQ(refused("sha256:12 viewer ann"), "t:1: sha256: needs 64 hexadecimal digits");
  EXPECT_EQ(refused("0123456789abcdef viewer a\n0123456789abcdef admin b"),
            "t:2: token is already in this file");
}

TEST(TokensTest, FileMustBePrivateAndIsReadAgainWhenItChanges) {
  const std::string folder = ::testing::TempDir() + "/tokens_test";
  std::filesystem::create_directories(folder);
  const std::string path = folder + "/tokens";
  const auto write = [&](std::string_view text, mode_t mode) {
    std::filesystem::remove(path);
    std::ofstream(path) << text;
    chmod(path.c_str(), mode);
  };
  write("0123456789abcdef viewer ann\n", 0644);
  EXPECT_EQ(TokenFile::Open(path).error().code, ErrorCode::kPermissionDenied);
  write("0123456789abcdef viewer ann\n", 0600);
  auto file = TokenFile::Open(path);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_TRUE((*file)->Find("0123456789abcdef", kNsPerSecond));
  write("another-long-token viewer ann\n", 0600);
  EXPECT_FALSE((*file)->Find("0123456789abcdef", 3 * kNsPerSecond));
  EXPECT_TRUE((*file)->Find("another-long-token", 3 * kNsPerSecond));
  write("ann viewer\n", 0600);
  EXPECT_TRUE((*file)->Find("another-long-token", 5 * kNsPerSecond)) << "the old tokens stay";
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace faultline
