// Heads, bodies and what faults make of them.
#include "agent/faults/http_message.h"

#include <gtest/gtest.h>

#include "agent/faults/http_rules.h"

namespace faultline {
namespace {

HttpMessageHead Head(std::string_view text) {
  size_t length = 0;
  const auto head = ReadHttpHead(text, length);
  EXPECT_TRUE(head && *head) << text;
  return head && *head ? **head : HttpMessageHead();
}

TEST(HttpMessage, HeadsAreReadAndWrittenAsTheyWere) {
  const std::string text = "POST /a/b?c=d HTTP/1.1\r\nHost: x\r\ncontent-length: 3\r\n\r\n";
  size_t length = 0;
  const auto head = ReadHttpHead(text + "abc", length);
  ASSERT_TRUE(head && *head);
  EXPECT_EQ(length, text.size());
  EXPECT_EQ((**head).Path(), "/a/b");
  EXPECT_EQ((**head).Header("Content-Length"), "3");
  EXPECT_EQ((**head).Text(), text);
  EXPECT_EQ(FramingOf(**head).length, 3u);
  EXPECT_FALSE(*ReadHttpHead("GET / HT", length)) << "more is needed";
  for (const char* bad : {"\x16\x03\x01\x02", "PRI * HTTP/2.0\r\n\r\n", "GET /\r\n\r\n",
                          "HTTP/1.1 9\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n"}) {
    EXPECT_FALSE(ReadHttpHead(bad, length)) << bad;
  }
}

TEST(HttpMessage, BodiesAreFramedAsTheStandardSays) {
  const auto kind = [](std::string_view text, std::string_view method = "GET") {
    return FramingOf(Head(text), method).kind;
  };
  EXPECT_EQ(kind("HTTP/1.1 200 OK\r\n\r\n"), HttpBody::kUntilEnd);
  EXPECT_EQ(kind("HTTP/1.1 204 No\r\n\r\n"), HttpBody::kNone);
  EXPECT_EQ(kind("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD"), HttpBody::kNone);
  EXPECT_EQ(kind("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
            HttpBody::kChunked);
  EXPECT_EQ(kind("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n"), HttpBody::kTunnel);
  EXPECT_EQ(kind("GET / HTTP/1.1\r\n\r\n"), HttpBody::kNone);
  // In pieces of every size.
  const std::string chunks = "5;x=y\r\nhello\r\n4\r\n you\r\n0\r\nTrailer: x\r\n\r\nNEXT";
  for (size_t piece = 1; piece < chunks.size(); ++piece) {
    ChunkFollower follower;
    std::string body;
    size_t used = 0;
    while (!follower.ended()) {
      const auto n = follower.Feed(std::string_view(chunks).substr(used, piece), &body);
      ASSERT_TRUE(n);
      used += *n;
    }
    EXPECT_EQ(body, "hello you");
    EXPECT_EQ(chunks.substr(used), "NEXT");
  }
}

TEST(HttpRules, MeanAndChangeWhatWasAsked) {
  FaultSpec spec;
  spec.fault = "http_replace";
  spec.parameters = {{"target", "Request"},
                     {"port", "80"},
                     {"path", "/api/*"},
                     {"method", "GET"},
                     {"request_headers", R"({"X-Who":"me"})"},
                     {"replace.path", "/api/v2/"},
                     {"replace.method", "DELETE"},
                     {"replace.queries", R"({"a":"2"})"},
                     {"patch.headers", R"([["Token","one"],["Token","two"]])"},
                     {"patch.body.value", R"({"foo":"bar","gone":null})"}};
  const auto rules = ReadHttpRules(spec);
  ASSERT_TRUE(rules) << rules.error().message;
  HttpMessageHead request = Head("GET /api/x?a=1&b=3 HTTP/1.1\r\nX-Who: me\r\n\r\n");
  EXPECT_TRUE(MeansRequest(*rules, request));
  EXPECT_FALSE(MeansRequest(*rules, Head("POST /api/x HTTP/1.1\r\nX-Who: me\r\n\r\n")));
  EXPECT_FALSE(MeansRequest(*rules, Head("GET /other HTTP/1.1\r\nX-Who: me\r\n\r\n")));
  EXPECT_FALSE(MeansRequest(*rules, Head("GET /api/x HTTP/1.1\r\n\r\n")));
  ChangeHead(*rules, request);
  EXPECT_EQ(request.Text(),
            "DELETE /api/v2/?b=3&a=2 HTTP/1.1\r\nX-Who: me\r\nToken: one\r\nToken: two\r\n\r\n");
  EXPECT_EQ(ChangeBody(*rules, R"({"foo":1,"gone":2,"kept":3})"), R"({"foo":"bar","kept":3})");
  EXPECT_EQ(ChangeBody(*rules, "no json"), "no json");
  for (const auto& [name, value] :
       {std::pair{"replace.headers", "no json"}, std::pair{"patch.headers", R"([["one"]])"},
        std::pair{"replace.headers", R"({"a":"b\r\nc"})"}, std::pair{"code", "200"}}) {
    FaultSpec bad = spec;
    bad.parameters[name] = value;
    const auto read = ReadHttpRules(bad);
    ASSERT_FALSE(read) << name;
    EXPECT_NE(read.error().message.find(std::string("parameters.") + name), std::string::npos);
  }
}

}  // namespace
}  // namespace faultline
