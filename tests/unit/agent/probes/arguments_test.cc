#include "agent/probes/arguments.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

using namespace std::literals;

std::string Shown(std::string_view raw) { return ArgumentsText(raw, Arguments::kRedacted); }

TEST(ArgumentsTest, PlainOnesStay) {
  EXPECT_EQ(Shown("nginx\0-g\0daemon off;\0"sv), "nginx -g daemon off;");
  EXPECT_EQ(Shown("ls\0-path\0"sv), "ls -path");
  EXPECT_EQ(Shown("docker\0-p\080:80\0"sv), "docker -p 80:80");
  EXPECT_EQ(Shown(""), "");
}

TEST(ArgumentsTest, SecretsAreHidden) {
  EXPECT_EQ(Shown("a\0--password\0x\0y\0"sv), "a --password *** y");
  EXPECT_EQ(Shown("a\0--api-token=x\0"sv), "a --api-token=***");
  EXPECT_EQ(Shown("env\0DB_PASSWORD=x\0b\0"sv), "env DB_PASSWORD=*** b");
  EXPECT_EQ(Shown("mysql\0-pgeheim\0"sv), "mysql -p***");
  EXPECT_EQ(Shown("curl\0-H\0Authorization: Bearer x\0"sv), "curl -H Authorization:***");
  EXPECT_EQ(Shown("psql\0postgres://u:x@db/app\0"sv), "psql postgres://***@db/app");
  EXPECT_EQ(Shown("curl\0http://host/a@b\0"sv), "curl http://host/a@b");
}

TEST(ArgumentsTest, OrNothingOrAll) {
  EXPECT_EQ(ArgumentsText("a\0--password\0x\0"sv, Arguments::kNone), "");
  EXPECT_EQ(ArgumentsText("a\0--password\0x\0"sv, Arguments::kAll), "a --password x");
  EXPECT_EQ(ArgumentsShown("none"), Arguments::kNone);
  EXPECT_EQ(ArgumentsShown("all"), Arguments::kAll);
  EXPECT_EQ(ArgumentsShown(""), Arguments::kRedacted);
}

// Cut in the middle of an argument, as the kernel side does.
TEST(ArgumentsTest, ACutArgumentIsStillHidden) {
  EXPECT_EQ(Shown("a\0--token=abcd"sv), "a --token=***");
}

}  // namespace
}  // namespace faultline
