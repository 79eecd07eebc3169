// histogram_quantile over classic histograms: one series per bucket, told apart by `le`.
#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "aggregator/query/evaluator.h"
#include "aggregator/query/promql_functions.h"
#include "common/text.h"

namespace faultline::promql::whole_functions {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Bucket {
  double upper_bound;
  double count;
};

struct BucketSeries {
  double upper_bound;
  size_t column;
};

struct Buckets {
  Labels labels;
  std::vector<BucketSeries> series;  // by bound
};

std::optional<double> ParseBound(std::string_view text) {
  if (text == "+Inf" || text == "Inf" || text == "+inf" || text == "inf") return kInfinity;
  if (text == "-Inf" || text == "-inf") return -kInfinity;
  if (text.empty()) return std::nullopt;
  return ParseDouble(text);
}

// `buckets` in order of bound; merges equal bounds and makes the counts monotonic.
double QuantileOfBuckets(double q, std::vector<Bucket>& buckets) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (std::isnan(q)) return nan;
  if (q < 0) return -kInfinity;
  if (q > 1) return kInfinity;
  if (buckets.back().upper_bound != kInfinity) return nan;
  size_t last = 0;
  for (size_t i = 1; i < buckets.size(); ++i) {
    if (buckets[i].upper_bound == buckets[last].upper_bound) {
      buckets[last].count += buckets[i].count;
    } else {
      buckets[++last] = buckets[i];
    }
  }
  buckets.resize(last + 1);
  double greatest = buckets[0].count;
  for (Bucket& bucket : buckets) {
    if (bucket.count > greatest) greatest = bucket.count;
    if (bucket.count < greatest) bucket.count = greatest;
  }
  if (buckets.size() < 2) return nan;
  const double observations = buckets.back().count;
  if (observations == 0) return nan;
  double rank = q * observations;
  const auto found = std::find_if(buckets.begin(), buckets.end() - 1,
                                  [&](const Bucket& bucket) { return bucket.count >= rank; });
  const auto b = static_cast<size_t>(found - buckets.begin());
  if (b == buckets.size() - 1) return buckets[buckets.size() - 2].upper_bound;
  if (b == 0 && buckets[0].upper_bound <= 0) return buckets[0].upper_bound;
  double begin = 0;
  double count = buckets[b].count;
  if (b > 0) {
    begin = buckets[b - 1].upper_bound;
    count -= buckets[b - 1].count;
    rank -= buckets[b - 1].count;
  }
  return begin + (buckets[b].upper_bound - begin) * (rank / count);
}

std::vector<Buckets> BucketsOf(const Matrix& matrix) {
  std::vector<Buckets> all;
  std::unordered_map<std::string, size_t> index;
  for (size_t c = 0; c < matrix.columns.size(); ++c) {
    const Labels& labels = matrix.columns[c].labels;
    const auto bound = ParseBound(LabelValue(labels, "le"));
    if (!bound) continue;
    const auto [at, is_new] = index.try_emplace(KeyWithout(labels, {"le"}, false), all.size());
    if (is_new) all.push_back({Without(labels, {"le"}, true), {}});
    all[at->second].series.push_back({*bound, c});
  }
  for (Buckets& buckets : all) {
    std::stable_sort(
        buckets.series.begin(), buckets.series.end(),
        [](const BucketSeries& a, const BucketSeries& b) { return a.upper_bound < b.upper_bound; });
  }
  return all;
}

}  // namespace

Result<Matrix> HistogramQuantile(Evaluator& evaluator, const Call& call, const Steps& steps) {
  FAULTLINE_ASSIGN(const std::vector<double> quantiles,
                   evaluator.EvalScalar(*call.arguments[0], steps));
  FAULTLINE_ASSIGN(Matrix inner, evaluator.Eval(*call.arguments[1], steps));
  Matrix matrix;
  std::vector<Bucket> present;
  for (Buckets& buckets : BucketsOf(inner)) {
    FAULTLINE_ASSIGN(Column column, evaluator.NewColumn(matrix, std::move(buckets.labels), steps));
    for (size_t i = 0; i < steps.count; ++i) {
      present.clear();
      for (const BucketSeries& series : buckets.series) {
        const double count = inner.columns[series.column].values[i];
        if (!IsAbsent(count)) present.push_back({series.upper_bound, count});
      }
      if (!present.empty()) column.values[i] = QuantileOfBuckets(quantiles[i], present);
    }
    matrix.columns.push_back(std::move(column));
  }
  FAULTLINE_TRY(Evaluator::MergeSameLabels(matrix));
  return matrix;
}

}  // namespace faultline::promql::whole_functions
