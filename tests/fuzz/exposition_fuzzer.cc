// Prometheus' text format: no input may crash the parser, and what it accepts is well-formed.
#include <cstdint>
#include <set>
#include <string_view>

#include "common/assert.h"
#include "common/exposition.h"
#include "common/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto parsed = faultline::ParseExposition(text, 1000);
  if (!parsed) return 0;
  for (const faultline::ExpositionSample& sample : parsed->samples) {
    FAULTLINE_ASSERT(sample.family < parsed->families.size(), "family exists");
    FAULTLINE_ASSERT(!sample.name.empty(), "sample has a name");
    std::set<std::string> names;
    for (const auto& [name, value] : sample.labels) {
      FAULTLINE_ASSERT(!name.empty() && names.insert(name).second, "label names differ");
      FAULTLINE_ASSERT(faultline::IsValidUtf8(value), "label values are UTF-8");
    }
  }
  return 0;
}
