// Small things every user of samples needs: label access, printing, Prometheus' stale marker.
#include <algorithm>
#include <bit>

#include "aggregator/store/store.h"

namespace faultline {

std::string_view LabelValue(const Labels& labels, std::string_view name) {
  const auto found = std::lower_bound(labels.begin(), labels.end(), name,
                                      [](const auto& label, std::string_view wanted) {
                                        return std::string_view(label.first) < wanted;
                                      });
  if (found == labels.end() || found->first != name) return {};
  return found->second;
}

void SortLabels(Labels& labels) { std::sort(labels.begin(), labels.end()); }

std::string FormatLabels(const Labels& labels) {
  std::string text = "{";
  for (const auto& [name, value] : labels) {
    if (text.size() > 1) text += ',';
    text += name;
    text += "=\"";
    for (const char c : value) {
      if (c == '\n') {
        text += "\\n";
        continue;
      }
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text + "}";
}

bool IsStale(double value) { return std::bit_cast<uint64_t>(value) == kStaleNanBits; }
double StaleMarker() { return std::bit_cast<double>(kStaleNanBits); }

}  // namespace faultline
