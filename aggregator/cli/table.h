// Plain tables as kubectl prints them, and small plots for series.
#pragma once

#include <string>
#include <vector>

namespace faultline::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  // Columns as wide as their widest cell (in characters), three blanks between, no trailing blanks.
  std::string Render() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

// ▁▂▃▅▇ of the values, at most `width` characters; gaps (NaN) are blanks.
std::string Sparkline(const std::vector<double>& values, size_t width);
// 12.3, 4.56k, 7.89M
std::string HumanNumber(double value);
// 3m20s, 2d4h
std::string HumanDuration(double seconds);

}  // namespace faultline::cli
