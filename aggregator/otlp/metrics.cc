// Data points to samples of Prometheus' shape.
#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_set>

#include "aggregator/otlp/attribute_values.h"
#include "aggregator/otlp/metric_names.h"
#include "aggregator/otlp/otlp.h"
#include "aggregator/otlp/resource.h"
#include "common/text.h"

namespace faultline::otlp {
namespace {

constexpr uint32_t kNoRecordedValue = 1;  // flag: the series ended
constexpr int32_t kFinestScale = 1;       // buckets at powers of 2^(2^-scale)
constexpr int32_t kCoarsestScale = -10;
constexpr int64_t kMaxBuckets = 2'000;

// One resource's metrics on their way into a batch.
class MetricWriter {
 public:
  MetricWriter(const ResourceView& resource, Store& store, int64_t now_unix_ns, Translation& out)
      : resource_(resource), store_(store), now_ns_(now_unix_ns), out_(out) {}

  Result<void> Write(const v1::Metric& metric);
  Result<void> WriteTargetInfo();

 private:
  struct Point {
    Labels labels;  // without __name__
    int64_t time_ms;
    bool stale;
  };

  template <typename DataPoint>
  Point PointOf(const DataPoint& point);
  Result<void> Add(const Point& point, std::string_view name, double value,
                   std::pair<std::string_view, std::string> extra = {});
  Result<void> WriteNumbers(const google::protobuf::RepeatedPtrField<v1::NumberDataPoint>& points,
                            const std::string& name);
  Result<void> WriteHistogram(const v1::HistogramDataPoint& point, const std::string& name);
  Result<void> WriteExponential(const v1::ExponentialHistogramDataPoint& point,
                                const std::string& name);
  Result<void> WriteSummary(const v1::SummaryDataPoint& point, const std::string& name);

  const ResourceView& resource_;
  Store& store_;
  const int64_t now_ns_;
  Translation& out_;
  SeriesMeta meta_;
  int64_t newest_ms_ = INT64_MIN;
};

void Join(Labels& labels, const std::string& name, const std::string& value) {
  const auto same = std::ranges::find(labels, name, &std::pair<std::string, std::string>::first);
  if (same == labels.end()) {
    labels.emplace_back(name, value);
  } else {
    same->second += ";" + value;  // two attributes that only sanitising made equal
  }
}

template <typename DataPoint>
MetricWriter::Point MetricWriter::PointOf(const DataPoint& data_point) {
  Point point;
  for (const v1::KeyValue& pair : data_point.attributes()) {
    std::string text = TextOf(pair.value());
    if (!text.empty()) Join(point.labels, LabelNameOf(pair.key()), text);
  }
  const auto add_if_new = [&](std::string_view name, const std::string& value) {
    if (!value.empty() && LabelValue(point.labels, name).empty())
      point.labels.emplace_back(name, value);
  };
  SortLabels(point.labels);
  const Labels own = point.labels;
  for (const auto& [name, value] : resource_.place) {
    if (LabelValue(own, name).empty()) point.labels.emplace_back(name, value);
  }
  SortLabels(point.labels);
  add_if_new("job", resource_.job);
  SortLabels(point.labels);
  add_if_new("instance", resource_.instance);
  SortLabels(point.labels);
  const uint64_t time_ns = data_point.time_unix_nano();
  point.time_ms = (time_ns == 0 || time_ns > INT64_MAX ? now_ns_ : static_cast<int64_t>(time_ns)) /
                  kNsPerMs;
  point.stale = (data_point.flags() & kNoRecordedValue) != 0;
  newest_ms_ = std::max(newest_ms_, point.time_ms);
  return point;
}

Result<void> MetricWriter::Add(const Point& point, std::string_view name, double value,
                               std::pair<std::string_view, std::string> extra) {
  Labels labels = point.labels;
  if (!extra.first.empty()) {
    std::erase_if(labels, [&](const auto& label) { return label.first == extra.first; });
    labels.emplace_back(extra);
  }
  labels.emplace_back("__name__", name);
  SortLabels(labels);
  FAULTLINE_ASSIGN(const SeriesId series, store_.InternSeries(labels, meta_));
  out_.BatchOf(resource_.node).samples.push_back({series, point.time_ms, point.stale ? StaleMarker() : value});
  return {};
}

Result<void> MetricWriter::WriteNumbers(
    const google::protobuf::RepeatedPtrField<v1::NumberDataPoint>& points, const std::string& name) {
  for (const v1::NumberDataPoint& data_point : points) {
    const Point point = PointOf(data_point);
    if (!point.stale && data_point.value_case() == v1::NumberDataPoint::VALUE_NOT_SET) {
      out_.Reject(1, fmt::format("{}: a data point without a value", name));
      continue;
    }
    const double value = data_point.has_as_int() ? static_cast<double>(data_point.as_int())
                                                 : data_point.as_double();
    FAULTLINE_TRY(Add(point, name, value));
    ++out_.accepted;
  }
  return {};
}

Result<void> MetricWriter::WriteHistogram(const v1::HistogramDataPoint& data_point,
                                          const std::string& name) {
  const Point point = PointOf(data_point);
  const int bounds = data_point.explicit_bounds_size();
  if (data_point.bucket_counts_size() != 0 && data_point.bucket_counts_size() != bounds + 1) {
    out_.Reject(1, fmt::format("{}: {} bounds need {} bucket counts, not {}", name, bounds,
                               bounds + 1, data_point.bucket_counts_size()));
    return {};
  }
  uint64_t below = 0;
  const std::string bucket = name + "_bucket";
  for (int i = 0; i < bounds && data_point.bucket_counts_size() != 0; ++i) {
    if (std::isinf(data_point.explicit_bounds(i))) continue;
    below += data_point.bucket_counts(i);
    FAULTLINE_TRY(Add(point, bucket, static_cast<double>(below),
                      {"le", FormatDouble(data_point.explicit_bounds(i))}));
  }
  const auto count = static_cast<double>(data_point.count());
  FAULTLINE_TRY(Add(point, bucket, count, {"le", "+Inf"}));
  FAULTLINE_TRY(Add(point, name + "_count", count));
  if (data_point.has_sum()) FAULTLINE_TRY(Add(point, name + "_sum", data_point.sum()));
  ++out_.accepted;
  return {};
}

Result<void> MetricWriter::WriteExponential(const v1::ExponentialHistogramDataPoint& data_point,
                                            const std::string& name) {
  const Point point = PointOf(data_point);
  const int32_t scale = data_point.scale();
  const int64_t buckets = int64_t{data_point.positive().bucket_counts_size()} +
                          data_point.negative().bucket_counts_size();
  if (scale < kCoarsestScale || scale > 20 || buckets > kMaxBuckets) {
    out_.Reject(1, fmt::format("{}: an exponential histogram of scale {} and {} buckets is beyond {} … 20 and {}",
                               name, scale, buckets, kCoarsestScale, kMaxBuckets));
    return {};
  }
  // Bucket i holds (base^i, base^(i+1)]; merging 2^shift neighbours is exact and lowers the scale by shift.
  const int shift = std::max(scale - kFinestScale, 0);
  const double step = std::exp2(-std::min(scale, kFinestScale));  // in powers of two
  std::map<double, uint64_t> counts;  // upper bound -> observations
  const auto power = [&](int64_t index) { return std::exp2(step * static_cast<double>(index)); };
  const auto& positive = data_point.positive();
  for (int i = 0; i < positive.bucket_counts_size(); ++i)
    counts[power(((int64_t{positive.offset()} + i) >> shift) + 1)] += positive.bucket_counts(i);
  const auto& negative = data_point.negative();
  for (int i = 0; i < negative.bucket_counts_size(); ++i)
    counts[-power((int64_t{negative.offset()} + i) >> shift)] += negative.bucket_counts(i);
  if (data_point.zero_count() > 0) counts[data_point.zero_threshold()] += data_point.zero_count();
  uint64_t below = 0;
  const std::string bucket = name + "_bucket";
  for (const auto& [bound, count] : counts) {
    below += count;
    if (std::isinf(bound)) continue;
    FAULTLINE_TRY(Add(point, bucket, static_cast<double>(below), {"le", FormatDouble(bound)}));
  }
  const auto count = static_cast<double>(data_point.count());
  FAULTLINE_TRY(Add(point, bucket, count, {"le", "+Inf"}));
  FAULTLINE_TRY(Add(point, name + "_count", count));
  if (data_point.has_sum()) FAULTLINE_TRY(Add(point, name + "_sum", data_point.sum()));
  ++out_.accepted;
  return {};
}

Result<void> MetricWriter::WriteSummary(const v1::SummaryDataPoint& data_point,
                                        const std::string& name) {
  const Point point = PointOf(data_point);
  for (const auto& quantile : data_point.quantile_values()) {
    FAULTLINE_TRY(
        Add(point, name, quantile.value(), {"quantile", FormatDouble(quantile.quantile())}));
  }
  FAULTLINE_TRY(Add(point, name + "_count", static_cast<double>(data_point.count())));
  FAULTLINE_TRY(Add(point, name + "_sum", data_point.sum()));
  ++out_.accepted;
  return {};
}

// What is not cumulative cannot be a series of Prometheus'; empty if it is.
std::string DeltaRefusal(const v1::Metric& metric) {
  const auto temporality = metric.has_sum()         ? metric.sum().aggregation_temporality()
                           : metric.has_histogram() ? metric.histogram().aggregation_temporality()
                           : metric.has_exponential_histogram()
                               ? metric.exponential_histogram().aggregation_temporality()
                               : v1::AGGREGATION_TEMPORALITY_CUMULATIVE;
  if (temporality == v1::AGGREGATION_TEMPORALITY_CUMULATIVE) return {};
  return fmt::format("{}: only cumulative temporality is kept; tell the SDK or collector to send it",
                     metric.name());
}

int64_t PointsOf(const v1::Metric& metric) {
  return int64_t{metric.gauge().data_points_size()} + metric.sum().data_points_size() +
         metric.histogram().data_points_size() + metric.exponential_histogram().data_points_size() +
         metric.summary().data_points_size();
}

Result<void> MetricWriter::Write(const v1::Metric& metric) {
  const bool counter = metric.has_sum() && metric.sum().is_monotonic();
  const bool gauge = metric.has_gauge() || (metric.has_sum() && !counter);
  const std::string name = MetricNameOf(metric.name(), metric.unit(),
                                        counter ? NameKind::kCounter
                                        : metric.has_gauge() ? NameKind::kGauge
                                                             : NameKind::kOther);
  const std::string delta = DeltaRefusal(metric);
  if (name.empty() || !delta.empty() || metric.data_case() == v1::Metric::DATA_NOT_SET) {
    out_.Reject(PointsOf(metric), !delta.empty() ? delta
                                  : name.empty()
                                      ? fmt::format("a metric named '{}' has no letters", metric.name())
                                      : fmt::format("{}: a kind of metric that is not known", name));
    return {};
  }
  meta_.help = metric.description();
  meta_.type = counter                ? faultline::v1::METRIC_TYPE_COUNTER
               : gauge                ? faultline::v1::METRIC_TYPE_GAUGE
               : metric.has_summary() ? faultline::v1::METRIC_TYPE_SUMMARY
                                      : faultline::v1::METRIC_TYPE_HISTOGRAM;
  if (metric.has_gauge()) return WriteNumbers(metric.gauge().data_points(), name);
  if (metric.has_sum()) return WriteNumbers(metric.sum().data_points(), name);
  for (const auto& point : metric.histogram().data_points()) FAULTLINE_TRY(WriteHistogram(point, name));
  for (const auto& point : metric.exponential_histogram().data_points())
    FAULTLINE_TRY(WriteExponential(point, name));
  for (const auto& point : metric.summary().data_points()) FAULTLINE_TRY(WriteSummary(point, name));
  return {};
}

Result<void> MetricWriter::WriteTargetInfo() {
  if (newest_ms_ == INT64_MIN || resource_.rest.empty()) return {};
  Point point;
  point.time_ms = newest_ms_;
  point.stale = false;
  for (const auto& [name, value] : resource_.rest) Join(point.labels, name, value);
  Join(point.labels, "job", resource_.job);
  if (!resource_.instance.empty()) Join(point.labels, "instance", resource_.instance);
  SortLabels(point.labels);
  meta_ = {faultline::v1::METRIC_TYPE_GAUGE, "Target metadata"};
  return Add(point, "target_info", 1);
}

}  // namespace

void Translation::Reject(int64_t count, std::string_view why) {
  if (rejected == 0) reason = ReplaceInvalidUtf8(why.substr(0, 500));
  rejected += count;
}

AppendBatch& Translation::BatchOf(std::string_view node) {
  for (AppendBatch& batch : batches) {
    if (batch.node == node) return batch;
  }
  batches.emplace_back().node = node;
  return batches.back();
}

Result<Translation> TranslateMetrics(const v1::ExportMetricsServiceRequest& request, Store& store,
                                     int64_t now_unix_ns) {
  Translation out;
  for (const v1::ResourceMetrics& resource_metrics : request.resource_metrics()) {
    const ResourceView resource(resource_metrics.resource());
    MetricWriter writer(resource, store, now_unix_ns, out);
    for (const v1::ScopeMetrics& scope : resource_metrics.scope_metrics()) {
      for (const v1::Metric& metric : scope.metrics()) {
        const auto written = writer.Write(metric);
        if (!written && written.error().code == ErrorCode::kResourceExhausted) {
          out.Reject(1, written.error().message);
        } else if (!written) {
          return std::unexpected(written.error());
        }
      }
    }
    if (const auto written = writer.WriteTargetInfo();
        !written && written.error().code != ErrorCode::kResourceExhausted) {
      return std::unexpected(written.error());
    }
  }
  return out;
}

}  // namespace faultline::otlp
