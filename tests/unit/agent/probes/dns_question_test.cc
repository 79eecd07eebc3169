#include "agent/probes/dns_question.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

using namespace std::literals;

constexpr std::string_view kHead = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"sv;

std::string Query(std::string_view question) { return std::string(kHead) + std::string(question); }

TEST(DnsQuestionTest, ReadsNameAndType) {
  const auto question =
      ParseDnsQuestion(Query("\x03www\x07"
                             "example\x03org\x00\x00\x1c\x00\x01"sv));
  ASSERT_TRUE(question);
  EXPECT_EQ(question->name, "www.example.org");
  EXPECT_EQ(DnsTypeName(question->type), "AAAA");
}

TEST(DnsQuestionTest, WhatIsCutOrWrongIsNone) {
  EXPECT_FALSE(ParseDnsQuestion(""));
  EXPECT_FALSE(ParseDnsQuestion(kHead));
  EXPECT_FALSE(ParseDnsQuestion(Query("\x03ww"sv)));
  EXPECT_FALSE(ParseDnsQuestion(Query("\x03www\x00\x00"sv)));
  EXPECT_FALSE(ParseDnsQuestion(Query("\xc0\x0c\x00\x01"sv)));
  std::string endless(kHead);
  for (int i = 0; i < 30; ++i) endless += "\x3f" + std::string(63, 'a');
  EXPECT_FALSE(ParseDnsQuestion(endless));
}

TEST(DnsQuestionTest, StrangeBytesAreShownAsSuch) {
  const auto question =
      ParseDnsQuestion(Query("\x03"
                             "a\x01.\x00\x00\x01\x00\x01"sv));
  ASSERT_TRUE(question);
  EXPECT_EQ(question->name, "a??");
  EXPECT_EQ(DnsTypeName(99), "TYPE99");
  EXPECT_EQ(DnsCodeName(3), "NXDOMAIN");
  EXPECT_EQ(DnsCodeName(9), "RCODE9");
}

}  // namespace
}  // namespace faultline
