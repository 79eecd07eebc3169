#include "agent/probes/http_head.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

TEST(HttpHeadTest, ReadsWhatASpanNeeds) {
  const auto head = ParseHttpHead(
      "GET /users/42?secret=1 HTTP/1.1\r\nHost: shop\r\nUser-Agent: curl/8\r\n"
      "TraceParent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\nGET /no "
      "HTTP/1.1");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->method, "GET");
  EXPECT_EQ(head->path, "/users/42");
  EXPECT_EQ(head->host, "shop");
  EXPECT_EQ(head->user_agent, "curl/8");
  EXPECT_EQ(head->trace_id, "\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c");
  EXPECT_EQ(head->parent_span_id, "\xb7\xad\x6b\x71\x69\x20\x33\x31");
  EXPECT_TRUE(head->is_sampled);
}

TEST(HttpHeadTest, WhatIsCutOrWrongIsMissing) {
  EXPECT_FALSE(ParseHttpHead(""));
  EXPECT_FALSE(ParseHttpHead("GET"));
  EXPECT_FALSE(ParseHttpHead("get / HTTP/1.1\r\n"));
  EXPECT_EQ(ParseHttpHead("GET /half")->path, "/half");
  EXPECT_EQ(ParseHttpHead("GET http://host/x?y HTTP/1.1\r\n")->path, "/x");
  for (const char* bad : {"00-00000000000000000000000000000000-b7ad6b7169203331-01",
                          "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                          "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                          "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
                          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x"}) {
    const std::string text = std::string("GET / HTTP/1.1\r\ntraceparent: ") + bad + "\r\n\r\n";
    EXPECT_EQ(ParseHttpHead(text)->trace_id, "") << bad;
  }
}

TEST(HttpHeadTest, RoutesHaveNoIdentifiers) {
  EXPECT_EQ(RouteOf("/"), "/");
  EXPECT_EQ(RouteOf(""), "/");
  EXPECT_EQ(RouteOf("/api/v1/users"), "/api/v1/users");
  EXPECT_EQ(RouteOf("/users/42/orders/7f3c9a1e-0d2b-4c55-9a77-0123456789ab"),
            "/users/{id}/orders/{id}");
  EXPECT_EQ(RouteOf("/feedface"), "/feedface");
  EXPECT_EQ(RouteOf("/a/b/c/d/e/f/g/h/i/j"), "/a/b/c/d/e/f/g/h/…");
}

}  // namespace
}  // namespace faultline
