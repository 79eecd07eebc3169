// The catalogue of PromQL functions. A function is one of three kinds: over the samples of a range,
// element by element, or over whole matrices. Add one: its kernel in the file of its kind, and its
// row in promql_functions.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/query/matrix.h"
#include "aggregator/query/promql_ast.h"
#include "common/result.h"

namespace faultline::promql {

class Evaluator;

// The samples of one series in one range, never empty, without stale markers.
struct Window {
  std::span<const Sample> samples;
  int64_t begin_ms = 0;  // of the range
  int64_t end_ms = 0;
  int64_t eval_ms = 0;  // of the step
  double range_s = 0;
  double parameters[2] = {0, 0};
  // Indices i into `samples` with samples[i] < samples[i - 1]; only when the row asks for resets.
  std::span<const uint32_t> resets;
  uint32_t first = 0;  // what to take off those indices
};

using RangeKernel = double (*)(const Window&);
using ElementKernel = double (*)(double value, const double* parameters);
using WholeKernel = Result<Matrix> (*)(Evaluator& evaluator, const Call& call, const Steps& steps);

struct FunctionRow {
  std::string_view name;
  std::vector<ValueType> arguments;
  int variadic = 0;  // how many arguments may be missing or added; -1: any number more
  ValueType returns = ValueType::kVector;
  RangeKernel range = nullptr;
  ElementKernel element = nullptr;
  WholeKernel whole = nullptr;
  bool wants_resets = false;
  // Depends on the time of evaluation even when its arguments do not.
  bool time_dependent = false;
  // Of a range function: empty, or why these parameters are refused.
  std::string (*check)(const double* parameters) = nullptr;
};

const FunctionRow* FindFunction(std::string_view name);
std::span<const FunctionRow> Functions();

// Kernels by file.
namespace range_functions {
double Rate(const Window&);
double Increase(const Window&);
double Delta(const Window&);
double Irate(const Window&);
double Idelta(const Window&);
double Deriv(const Window&);
double PredictLinear(const Window&);
double HoltWinters(const Window&);
double Resets(const Window&);
double Changes(const Window&);
double AvgOverTime(const Window&);
double SumOverTime(const Window&);
double CountOverTime(const Window&);
double MinOverTime(const Window&);
double MaxOverTime(const Window&);
double LastOverTime(const Window&);
double PresentOverTime(const Window&);
double QuantileOverTime(const Window&);
double StddevOverTime(const Window&);
double StdvarOverTime(const Window&);
std::string CheckHoltWinters(const double* parameters);
}  // namespace range_functions

namespace whole_functions {
Result<Matrix> Absent(Evaluator&, const Call&, const Steps&);
Result<Matrix> AbsentOverTime(Evaluator&, const Call&, const Steps&);
Result<Matrix> Scalar(Evaluator&, const Call&, const Steps&);
Result<Matrix> Vector(Evaluator&, const Call&, const Steps&);
Result<Matrix> Time(Evaluator&, const Call&, const Steps&);
Result<Matrix> Pi(Evaluator&, const Call&, const Steps&);
Result<Matrix> Timestamp(Evaluator&, const Call&, const Steps&);
Result<Matrix> Sort(Evaluator&, const Call&, const Steps&);
Result<Matrix> SortDesc(Evaluator&, const Call&, const Steps&);
Result<Matrix> LabelReplace(Evaluator&, const Call&, const Steps&);
Result<Matrix> LabelJoin(Evaluator&, const Call&, const Steps&);
Result<Matrix> HistogramQuantile(Evaluator&, const Call&, const Steps&);
// Of native histograms, which no sample here is: always empty.
Result<Matrix> NativeHistogramOnly(Evaluator&, const Call&, const Steps&);
}  // namespace whole_functions

// The q-quantile of the values, in Prometheus' sense; sorts them.
double QuantileOf(double q, std::vector<double>& values);

}  // namespace faultline::promql
