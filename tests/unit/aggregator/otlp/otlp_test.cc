#include "aggregator/otlp/otlp.h"

#include <gtest/gtest.h>

#include "aggregator/otlp/attribute_values.h"
#include "aggregator/otlp/metric_names.h"
#include "aggregator/otlp/resource.h"
#include "tests/support/memory_store.h"
#include "common/base_n.h"

namespace faultline::otlp {
namespace {

constexpr int64_t kNow = 1'700'000'000'000'000'000;

TEST(MetricNames, UnitsAndKinds) {
  EXPECT_EQ(MetricNameOf("http.server.request.duration", "s", NameKind::kOther), "http_server_request_duration_seconds");
  EXPECT_EQ(MetricNameOf("orders.placed", "{order}", NameKind::kCounter), "orders_placed_total");
  EXPECT_EQ(MetricNameOf("io_total", "By", NameKind::kCounter), "io_bytes_total");
  EXPECT_EQ(MetricNameOf("disk.io.bytes", "By", NameKind::kCounter), "disk_io_bytes_total");
  EXPECT_EQ(MetricNameOf("cpu.utilization", "1", NameKind::kGauge), "cpu_utilization_ratio");
  EXPECT_EQ(MetricNameOf("speed", "m/s", NameKind::kGauge), "speed_meters_per_second");
  EXPECT_EQ(MetricNameOf("2xx", "", NameKind::kOther), "_2xx");
  EXPECT_EQ(MetricNameOf("a..b--c", "widget", NameKind::kOther), "a_b_c_widget");
  EXPECT_EQ(MetricNameOf("!!", "s", NameKind::kOther), "");
  EXPECT_EQ(LabelNameOf("http.status-code"), "http_status_code");
  EXPECT_EQ(LabelNameOf("2nd"), "key_2nd");
  EXPECT_EQ(LabelNameOf("_a"), "key_a");
}

TEST(Json, IdsAreHexadecimalBothWays) {
  const auto request = DecodeTraces(R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C",
      "spanId":"eee19b7ec3c1b174","name":"x","startTimeUnixNano":"1","unknown":{"a":1}}]}]}]})", Encoding::kJson);
  ASSERT_TRUE(request) << request.error().message;
  const auto& span = request->resource_spans(0).scope_spans(0).spans(0);
  EXPECT_EQ(ToHex(span.trace_id()), "5b8efff798038103d269b633813fc60c");
  EXPECT_EQ(ToHex(span.span_id()), "eee19b7ec3c1b174");
  const Translation translation = TranslateTraces(*request);
  ASSERT_EQ(translation.accepted, 1) << translation.reason;
  const auto text = EncodeJson(MakeTrace({{"n", translation.batches[0].spans[0]}}));
  ASSERT_TRUE(text);
  EXPECT_NE(text->find(R"("traceId":"5b8efff798038103d269b633813fc60c")"), std::string::npos) << *text;
}

TEST(Values, ComeBackWithTheirTypes) {
  v1::KeyValue pair;
  pair.set_key("k");
  auto* list = pair.mutable_value()->mutable_array_value();
  list->add_values()->set_int_value(7);
  list->add_values()->set_string_value("x");
  list->add_values()->mutable_kvlist_value()->add_values()->set_key("nothing");
  const auto attribute = AttributeOf(pair);
  EXPECT_EQ(attribute.value(), R"([7,"x",{"nothing":null}])");
  v1::AnyValue back;
  FillAnyValue(attribute, &back);
  EXPECT_EQ(back.array_value().values(0).int_value(), 7);
  EXPECT_EQ(ToBase64("a"), "YQ==");
  EXPECT_EQ(FromHex("0g"), "");
}

TEST(Metrics, ExponentialHistogramsBecomeClassicOnes) {
  v1::ExportMetricsServiceRequest request;
  auto* metric = request.add_resource_metrics()->add_scope_metrics()->add_metrics();
  metric->set_name("h");
  metric->mutable_exponential_histogram()->set_aggregation_temporality(v1::AGGREGATION_TEMPORALITY_CUMULATIVE);
  auto* point = metric->mutable_exponential_histogram()->add_data_points();
  point->set_scale(2);  // bounds are powers of 2^(1/4); two neighbours become one
  point->set_count(7);
  point->set_zero_count(1);
  point->mutable_positive()->set_offset(0);
  for (const int count : {1, 2, 3}) point->mutable_positive()->add_bucket_counts(static_cast<uint64_t>(count));
  MemoryStore store;
  const auto translation = TranslateMetrics(request, store, kNow);
  ASSERT_TRUE(translation);
  EXPECT_EQ(translation->accepted, 1);
  std::map<std::string, double> buckets;
  for (const auto& row : translation->batches[0].samples) {
    const Labels labels = *store.LabelsOf(row.series);
    if (LabelValue(labels, "__name__") == "h_bucket") buckets[std::string(LabelValue(labels, "le")).substr(0, 5)] = row.value;
  }
  EXPECT_EQ(buckets, (std::map<std::string, double>{{"0", 1}, {"1.414", 4}, {"2", 7}, {"+Inf", 7}}));
}

TEST(Metrics, DeltaIsRefusedTheRestKept) {
  v1::ExportMetricsServiceRequest request;
  auto* scope = request.add_resource_metrics()->add_scope_metrics();
  auto* delta = scope->add_metrics();
  delta->set_name("d");
  delta->mutable_sum()->set_aggregation_temporality(v1::AGGREGATION_TEMPORALITY_DELTA);
  delta->mutable_sum()->add_data_points()->set_as_int(1);
  auto* gauge = scope->add_metrics();
  gauge->set_name("g");
  gauge->mutable_gauge()->add_data_points()->set_as_double(1.5);
  gauge->mutable_gauge()->add_data_points()->set_flags(1);  // no recorded value
  MemoryStore store;
  const auto translation = TranslateMetrics(request, store, kNow);
  ASSERT_TRUE(translation);
  EXPECT_EQ(translation->rejected, 1);
  EXPECT_NE(translation->reason.find("cumulative"), std::string::npos);
  ASSERT_EQ(translation->batches[0].samples.size(), 2u);
  EXPECT_TRUE(IsStale(translation->batches[0].samples[1].value));
}

}  // namespace
}  // namespace faultline::otlp
