#include "aggregator/query/promql_functions.h"

#include <cmath>
#include <ctime>
#include <limits>
#include <numbers>
#include <unordered_map>

namespace faultline::promql {
namespace {

using enum ValueType;
namespace range = range_functions;
namespace whole = whole_functions;

// ---- Element kernels
// -----------------------------------------------------------------------------------------
constexpr double kPi = std::numbers::pi;

// As Go's math.Max and math.Min: the winning infinity beats NaN, and NaN beats the rest.
double Greater(double a, double b) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (a == kInfinity || b == kInfinity) return kInfinity;
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::quiet_NaN();
  if (a == 0 && b == 0) return std::signbit(a) ? b : a;
  return std::max(a, b);
}
double Lesser(double a, double b) { return -Greater(-a, -b); }

double Round(double v, const double* p) {
  const double inverse = 1.0 / p[0];
  return std::floor(v * inverse + 0.5) / inverse;
}
double Clamp(double v, const double* p) {
  return p[1] < p[0] ? Absent() : Greater(p[0], Lesser(p[1], v));
}
double Sign(double v) { return v < 0 ? -1 : v > 0 ? 1 : v; }

// Seconds since 1970 to calendar fields, UTC.
std::tm Calendar(double seconds) {
  std::time_t t = 0;
  if (seconds > -6e16 && seconds < 6e16) t = static_cast<std::time_t>(seconds);
  std::tm tm{};
  gmtime_r(&t, &tm);
  return tm;
}
double DaysInMonth(double v, const double*) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const std::tm tm = Calendar(v);
  const int year = tm.tm_year + 1900;
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return kDays[tm.tm_mon] + (tm.tm_mon == 1 && leap ? 1 : 0);
}

#define FAULTLINE_ELEMENT(expression) \
  [](double v, [[maybe_unused]] const double* p) -> double { return expression; }

FunctionRow Range(std::string_view name, RangeKernel kernel) {
  return {.name = name, .arguments = {kMatrix}, .range = kernel};
}
FunctionRow Element(std::string_view name, ElementKernel kernel) {
  return {.name = name, .arguments = {kVector}, .element = kernel};
}
// Of the time of evaluation when called without arguments.
FunctionRow Date(std::string_view name, ElementKernel kernel) {
  return {.name = name,
          .arguments = {kVector},
          .variadic = 1,
          .element = kernel,
          .time_dependent = true};
}

std::vector<FunctionRow> MakeRows() {
  std::vector<FunctionRow> rows = {
      // ---- Over a range
      {.name = "rate", .arguments = {kMatrix}, .range = range::Rate, .wants_resets = true},
      {.name = "increase", .arguments = {kMatrix}, .range = range::Increase, .wants_resets = true},
      {.name = "resets", .arguments = {kMatrix}, .range = range::Resets, .wants_resets = true},
      Range("delta", range::Delta),
      Range("irate", range::Irate),
      Range("idelta", range::Idelta),
      Range("deriv", range::Deriv),
      {.name = "predict_linear",
       .arguments = {kMatrix, kScalar},
       .range = range::PredictLinear,
       .time_dependent = true},
      {.name = "holt_winters",
       .arguments = {kMatrix, kScalar, kScalar},
       .range = range::HoltWinters,
       .check = range::CheckHoltWinters},
      Range("changes", range::Changes),
      Range("avg_over_time", range::AvgOverTime),
      Range("sum_over_time", range::SumOverTime),
      Range("count_over_time", range::CountOverTime),
      Range("min_over_time", range::MinOverTime),
      Range("max_over_time", range::MaxOverTime),
      Range("last_over_time", range::LastOverTime),
      Range("present_over_time", range::PresentOverTime),
      {.name = "quantile_over_time",
       .arguments = {kScalar, kMatrix},
       .range = range::QuantileOverTime},
      Range("stddev_over_time", range::StddevOverTime),
      Range("stdvar_over_time", range::StdvarOverTime),
      // ---- Element by element
      Element("abs", FAULTLINE_ELEMENT(std::abs(v))),
      Element("ceil", FAULTLINE_ELEMENT(std::ceil(v))),
      Element("floor", FAULTLINE_ELEMENT(std::floor(v))),
      Element("exp", FAULTLINE_ELEMENT(std::exp(v))),
      Element("sqrt", FAULTLINE_ELEMENT(std::sqrt(v))),
      Element("ln", FAULTLINE_ELEMENT(std::log(v))),
      Element("log2", FAULTLINE_ELEMENT(std::log2(v))),
      Element("log10", FAULTLINE_ELEMENT(std::log10(v))),
      Element("sin", FAULTLINE_ELEMENT(std::sin(v))),
      Element("cos", FAULTLINE_ELEMENT(std::cos(v))),
      Element("tan", FAULTLINE_ELEMENT(std::tan(v))),
      Element("asin", FAULTLINE_ELEMENT(std::asin(v))),
      Element("acos", FAULTLINE_ELEMENT(std::acos(v))),
      Element("atan", FAULTLINE_ELEMENT(std::atan(v))),
      Element("sinh", FAULTLINE_ELEMENT(std::sinh(v))),
      Element("cosh", FAULTLINE_ELEMENT(std::cosh(v))),
      Element("tanh", FAULTLINE_ELEMENT(std::tanh(v))),
      Element("asinh", FAULTLINE_ELEMENT(std::asinh(v))),
      Element("acosh", FAULTLINE_ELEMENT(std::acosh(v))),
      Element("atanh", FAULTLINE_ELEMENT(std::atanh(v))),
      Element("deg", FAULTLINE_ELEMENT(v * 180 / kPi)),
      Element("rad", FAULTLINE_ELEMENT(v * kPi / 180)),
      Element("sgn", FAULTLINE_ELEMENT(Sign(v))),
      {.name = "round", .arguments = {kVector, kScalar}, .variadic = 1, .element = Round},
      {.name = "clamp", .arguments = {kVector, kScalar, kScalar}, .element = Clamp},
      {.name = "clamp_max",
       .arguments = {kVector, kScalar},
       .element = FAULTLINE_ELEMENT(Lesser(p[0], v))},
      {.name = "clamp_min",
       .arguments = {kVector, kScalar},
       .element = FAULTLINE_ELEMENT(Greater(p[0], v))},
      Date("days_in_month", DaysInMonth),
      Date("day_of_month", FAULTLINE_ELEMENT(Calendar(v).tm_mday)),
      Date("day_of_week", FAULTLINE_ELEMENT(Calendar(v).tm_wday)),
      Date("day_of_year", FAULTLINE_ELEMENT(Calendar(v).tm_yday + 1)),
      Date("hour", FAULTLINE_ELEMENT(Calendar(v).tm_hour)),
      Date("minute", FAULTLINE_ELEMENT(Calendar(v).tm_min)),
      Date("month", FAULTLINE_ELEMENT(Calendar(v).tm_mon + 1)),
      Date("year", FAULTLINE_ELEMENT(Calendar(v).tm_year + 1900)),
      // ---- Whole matrices
      {.name = "absent", .arguments = {kVector}, .whole = whole::Absent},
      {.name = "absent_over_time", .arguments = {kMatrix}, .whole = whole::AbsentOverTime},
      {.name = "scalar", .arguments = {kVector}, .returns = kScalar, .whole = whole::Scalar},
      {.name = "vector", .arguments = {kScalar}, .whole = whole::Vector},
      {.name = "time",
       .arguments = {},
       .returns = kScalar,
       .whole = whole::Time,
       .time_dependent = true},
      {.name = "pi", .arguments = {}, .returns = kScalar, .whole = whole::Pi},
      {.name = "timestamp",
       .arguments = {kVector},
       .whole = whole::Timestamp,
       .time_dependent = true},
      {.name = "sort", .arguments = {kVector}, .whole = whole::Sort},
      {.name = "sort_desc", .arguments = {kVector}, .whole = whole::SortDesc},
      {.name = "label_replace",
       .arguments = {kVector, kString, kString, kString, kString},
       .whole = whole::LabelReplace},
      {.name = "label_join",
       .arguments = {kVector, kString, kString, kString},
       .variadic = -1,
       .whole = whole::LabelJoin},
      {.name = "histogram_quantile",
       .arguments = {kScalar, kVector},
       .whole = whole::HistogramQuantile},
      {.name = "histogram_count", .arguments = {kVector}, .whole = whole::NativeHistogramOnly},
      {.name = "histogram_sum", .arguments = {kVector}, .whole = whole::NativeHistogramOnly},
      {.name = "histogram_fraction",
       .arguments = {kScalar, kScalar, kVector},
       .whole = whole::NativeHistogramOnly},
  };
  return rows;
}

const std::vector<FunctionRow>& Rows() {
  static const std::vector<FunctionRow> rows = MakeRows();
  return rows;
}

}  // namespace

std::span<const FunctionRow> Functions() { return Rows(); }

const FunctionRow* FindFunction(std::string_view name) {
  static const auto index = [] {
    std::unordered_map<std::string_view, const FunctionRow*> map;
    for (const FunctionRow& row : Rows()) map.emplace(row.name, &row);
    return map;
  }();
  const auto found = index.find(name);
  return found == index.end() ? nullptr : found->second;
}

}  // namespace faultline::promql
