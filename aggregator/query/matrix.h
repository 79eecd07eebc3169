// Values in flight inside the evaluator: a column per series, one value per step of the query's
// time grid. A step without a value holds the stale marker, which no arithmetic can produce. Dense,
// so that operators are plain loops; the price, cells for absent values too, is charged to the
// query's sample budget.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "aggregator/store/store.h"

namespace faultline::promql {

inline bool IsAbsent(double value) { return std::bit_cast<uint64_t>(value) == kStaleNanBits; }
inline double Absent() { return std::bit_cast<double>(kStaleNanBits); }

// The times at which an expression is evaluated: start, start + interval, …
struct Steps {
  int64_t start_ms = 0;
  int64_t interval_ms = 1;
  size_t count = 1;
  int64_t At(size_t i) const { return start_ms + static_cast<int64_t>(i) * interval_ms; }
  int64_t end_ms() const { return At(count - 1); }
};

// Counts the cells that are alive in one query.
struct SampleBudget {
  uint64_t used = 0;
  uint64_t max_samples = 0;
};

class Charge {
 public:
  Charge() = default;
  Charge(Charge&& other) noexcept { Swap(other); }
  Charge& operator=(Charge&& other) noexcept {
    Swap(other);
    return *this;
  }
  ~Charge() {
    if (budget_ != nullptr) budget_->used -= cells_;
  }
  void Add(SampleBudget* budget, uint64_t cells) {
    budget_ = budget;
    budget->used += cells;
    cells_ += cells;
  }

 private:
  void Swap(Charge& other) {
    std::swap(budget_, other.budget_);
    std::swap(cells_, other.cells_);
  }
  SampleBudget* budget_ = nullptr;
  uint64_t cells_ = 0;
};

struct Column {
  Labels labels;
  std::vector<double> values;
};

struct Matrix {
  std::vector<Column> columns;
  Charge charge;
};

inline bool HasValue(const Column& column) {
  for (const double value : column.values) {
    if (!IsAbsent(value)) return true;
  }
  return false;
}

// ---- Labels
// ------------------------------------------------------------------------------------------------
constexpr std::string_view kMetricName = "__name__";
void SetLabel(Labels& labels, std::string_view name,
              std::string_view value);  // empty value: removes it
void DropLabel(Labels& labels, std::string_view name);
// Keys for maps: equal exactly if the chosen labels are. `names` is sorted.
std::string KeyOf(const Labels& labels);
std::string KeyWith(const Labels& labels, const std::vector<std::string>& names);
std::string KeyWithout(const Labels& labels, const std::vector<std::string>& names,
                       bool drop_metric_name);
Labels Keep(const Labels& labels, const std::vector<std::string>& names);
Labels Without(const Labels& labels, const std::vector<std::string>& names, bool drop_metric_name);
// {a="b", c="d"}, as error messages have it.
std::string LabelText(const Labels& labels);

}  // namespace faultline::promql
