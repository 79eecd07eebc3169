#include "agent/otlp/export_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/gzip.h"

namespace faultline::otlp {
namespace {

constexpr size_t kMaxBytes = 10'000;

Result<ExportRequest> Read(std::string_view path, std::string body, Encoding encoding,
                           std::string_view packed = "") {
  return ReadExport(path, packed, std::move(body), encoding, kMaxBytes, 7);
}

v1::ExportLogsServiceRequest TwoRecords() {
  v1::ExportLogsServiceRequest request;
  auto* scope = request.add_resource_logs()->add_scope_logs();
  scope->add_log_records()->mutable_body()->set_string_value("one");
  scope->add_log_records()->mutable_body()->set_string_value("two");
  return request;
}

TEST(ExportRequestTest, ProtobufIsKeptAsItIs) {
  const std::string body = TwoRecords().SerializeAsString();
  const auto read = Read(kLogsPath, body, Encoding::kProtobuf);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->record.logs(), body);
  EXPECT_EQ(read->record.received_unix_ns(), 7);
  EXPECT_EQ(read->items, 2u);
}

TEST(ExportRequestTest, JsonAndGzipBecomeProtobuf) {
  const std::string json =
      R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","name":"x"}]}]}]})";
  const auto read = Read(kTracesPath, Gzip(json), Encoding::kJson, "GZIP");
  ASSERT_TRUE(read) << read.error().message;
  v1::ExportTraceServiceRequest request;
  ASSERT_TRUE(request.ParseFromString(read->record.traces()));
  EXPECT_EQ(request.resource_spans(0).scope_spans(0).spans(0).trace_id().size(), 16u);
  EXPECT_EQ(read->items, 1u);
}

TEST(ExportRequestTest, PointsOfEveryKindAreCounted) {
  v1::ExportMetricsServiceRequest request;
  auto* scope = request.add_resource_metrics()->add_scope_metrics();
  scope->add_metrics()->mutable_gauge()->add_data_points();
  scope->add_metrics()->mutable_sum()->add_data_points();
  scope->add_metrics()->mutable_histogram()->add_data_points();
  scope->add_metrics()->mutable_exponential_histogram()->add_data_points();
  scope->add_metrics()->mutable_summary()->add_data_points();
  scope->add_metrics()->set_name("empty");
  const auto read = Read(kMetricsPath, request.SerializeAsString(), Encoding::kProtobuf);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->items, 5u);
}

TEST(ExportRequestTest, WhatIsNoneIsRefused) {
  EXPECT_EQ(Read(kLogsPath, "{nonsense", Encoding::kJson).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(Read(kLogsPath, "\x0a\xff", Encoding::kProtobuf).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(Read(kLogsPath, "no gzip", Encoding::kJson, "gzip").error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(Read(kLogsPath, "", Encoding::kJson, "br").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(Read("/v1/profiles", "{}", Encoding::kJson).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(
      Read(kLogsPath, Gzip(std::string(kMaxBytes + 1, ' ')), Encoding::kJson, "gzip").error().code,
      ErrorCode::kResourceExhausted);
}

TEST(ExportRequestTest, AnswersAreInTheEncodingOfTheRequest) {
  EXPECT_EQ(AnswerOf(kTracesPath, Encoding::kJson), "{}");
  EXPECT_EQ(AnswerOf(kTracesPath, Encoding::kProtobuf), "");
}

}  // namespace
}  // namespace faultline::otlp
