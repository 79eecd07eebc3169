// The routes of Prometheus' and Loki's families, called as the dispatcher calls them, over a store
// in memory.
#include <gtest/gtest.h>
#include <snappy.h>

#include "aggregator/api/routes/routes.h"
#include "faultline/v1/loki.pb.h"
#include "faultline/v1/prometheus.pb.h"
#include "tests/support/memory_store.h"

namespace faultline {
namespace {

class QueryRoutes : public ::testing::Test {
 protected:
  QueryRoutes() {
    context_.store = &store_;
    context_.clock = &clock_;
  }

  using Handler = Result<Reply> (*)(const Request&, ApiContext&);
  std::string Get(Handler handler, std::vector<std::pair<std::string, std::string>> parameters) {
    Request request;
    request.parameters = std::move(parameters);
    return Answer(handler, request);
  }
  std::string Post(Handler handler, const std::string& content_type, const std::string& body) {
    Request request;
    request.headers = {{"content-type", content_type}};
    request.body = body;
    return Answer(handler, request);
  }
  std::string Answer(Handler handler, const Request& request) {
    const auto reply = handler(request, context_);
    if (!reply) return "error: " + reply.error().message;
    return std::to_string(reply->status) + " " + reply->body;
  }
  static std::string Compressed(const google::protobuf::Message& message) {
    std::string out;
    const std::string raw = message.SerializeAsString();
    snappy::Compress(raw.data(), raw.size(), &out);
    return out;
  }

  MemoryStore store_;
  ManualClock clock_{1'000 * kNsPerSecond};
  ApiContext context_;
};

TEST_F(QueryRoutes, WhatIsWrittenIsQueried) {
  v1::RemoteWriteRequest write;
  v1::RemoteSeries* series = write.add_series();
  for (const auto& [name, value] :
       {std::pair("job", "a"), std::pair("__name__", "up"), std::pair("empty", "")}) {
    v1::Label* label = series->add_labels();
    label->set_name(name);
    label->set_value(value);
  }
  v1::RemoteSample* sample = series->add_samples();
  sample->set_time_unix_ms(990'500);
  sample->set_value(0.25);
  EXPECT_EQ(Post(routes::RemoteWrite, "application/x-protobuf", Compressed(write)), "204 ");
  EXPECT_EQ(
      Get(routes::PrometheusQuery, {{"query", "up"}, {"time", "1000.5"}}),
      R"q(200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a"},)q"
      R"q("value":[1000.500,"0.25"]}]}})q");
  EXPECT_EQ(
      Get(routes::PrometheusQueryRange,
          {{"query", "up"}, {"start", "1970-01-01T00:16:30Z"}, {"end", "1000"}, {"step", "5s"}}),
      R"q(200 {"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"a"},)q"
      R"q("values":[[995,"0.25"],[1000,"0.25"]]}]}})q");
  EXPECT_EQ(Get(routes::PrometheusSeries, {{"match[]", "up"}}),
            R"q(200 {"status":"success","data":[{"__name__":"up","job":"a"}]})q");
  EXPECT_EQ(Get(routes::PrometheusLabels, {{"start", "-292273086-05-16T16:47:06Z"}}),
            R"q(200 {"status":"success","data":["__name__","job"]})q");
}

TEST_F(QueryRoutes, BadParametersAreNamed) {
  EXPECT_EQ(
      Get(routes::PrometheusQuery, {{"query", "up"}, {"time", "soon"}}),
      R"q(400 {"status":"error","errorType":"bad_data","error":"invalid parameter \"time\": cannot parse \"soon\" )q"
      R"q(to a valid timestamp"})q");
  EXPECT_EQ(
      Get(routes::PrometheusQueryRange,
          {{"query", "up"}, {"start", "0"}, {"end", "11001"}, {"step", "1"}}),
      R"q(400 {"status":"error","errorType":"bad_data","error":"exceeded maximum resolution of 11,000 points per )q"
      R"q(timeseries. Try decreasing the query resolution (?step=XX)"})q");
  EXPECT_EQ(Post(routes::RemoteWrite, "application/x-protobuf", "garbage"),
            "error: snappy: corrupt input");
  v1::RemoteWriteRequest write;
  v1::Label* label = write.add_series()->add_labels();
  label->set_name("bad-name");
  label->set_value("x");
  EXPECT_EQ(Post(routes::RemoteWrite, "", Compressed(write)),
            "error: invalid label name \"bad-name\"");
  clock_.Advance(1);
  EXPECT_EQ(Get(routes::PrometheusQuery, {{"query", "1"}, {"timeout", "0"}}).substr(0, 40),
            R"q(200 {"status":"success","data":{"resultT)q");
}

TEST_F(QueryRoutes, LinesPushedAreFound) {
  EXPECT_EQ(Post(routes::LokiPush, "application/json",
                 R"q({"streams":[{"stream":{"app":"a"},"values":[["999000000000","one"],)q"
                 R"q(["999500000000","two \"quoted\"",{"trace":"t1"}]]}]})q"),
            "204 ");
  v1::LokiPushRequest push;
  v1::LokiStream* stream = push.add_streams();
  stream->set_labels(R"q({app="b"})q");
  v1::LokiEntry* entry = stream->add_entries();
  entry->mutable_timestamp()->set_seconds(999);
  entry->set_line("three");
  EXPECT_EQ(Post(routes::LokiPush, "application/x-protobuf", Compressed(push)), "204 ");
  EXPECT_EQ(
      Get(routes::LokiQueryRange, {{"query", R"q({app="a"} |= "quoted")q"}}),
      R"q(200 {"status":"success","data":{"resultType":"streams","result":[{"stream":{"app":"a","trace":"t1"},)q"
      R"q("values":[["999500000000","two \"quoted\""]]}],"stats":{}}})q");
  EXPECT_EQ(
      Get(routes::LokiQuery, {{"query", R"q(sum(count_over_time({app=~".+"}[1m])))q"}}),
      R"q(200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1000,"3"]}],)q"
      R"q("stats":{}}})q");
  EXPECT_EQ(
      Get(routes::LokiQuery, {{"query", "vector(1)+vector(1)"}}),
      R"q(200 {"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1000,"2"]}],)q"
      R"q("stats":{}}})q");
  EXPECT_EQ(Get(routes::LokiLabels, {}), R"q(200 {"status":"success","data":["app"]})q");
  EXPECT_EQ(Get(routes::LokiSeries, {{"match[]", R"q({app="b"})q"}}),
            R"q(200 {"status":"success","data":[{"app":"b"}]})q");
}

TEST_F(QueryRoutes, BadPushesWriteNothing) {
  EXPECT_EQ(
      Post(
          routes::LokiPush, "application/json",
          R"q({"streams":[{"stream":{"app":"a"},"values":[["1","x"]]},{"stream":{},"values":[]}]})q"),
      "error: a stream needs at least one label");
  EXPECT_EQ(Post(routes::LokiPush, "application/json",
                 R"q({"streams":[{"stream":{"app":"a"},"values":[[1,"x"]]}]})q"),
            "error: push: an entry must be [\"<ns>\", \"<line>\"]");
  EXPECT_EQ(Get(routes::LokiLabels, {}), R"q(200 {"status":"success","data":[]})q");
  EXPECT_EQ(
      Get(routes::LokiQueryRange, {{"query", R"q({app="a"})q"}, {"limit", "6000"}}),
      R"q(400 {"status":"error","errorType":"bad_data","error":"max entries limit per query exceeded, limit > )q"
      R"q(max_entries_limit (6000 > 5000)"})q");
}

}  // namespace
}  // namespace faultline
