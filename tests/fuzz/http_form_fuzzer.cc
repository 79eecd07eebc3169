// Query strings, form bodies and paths: no input may crash the decoders, and what they take has no NUL left in it.
#include <cstdint>
#include <string_view>

#include "aggregator/api/form.h"
#include "aggregator/api/router.h"
#include "common/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace faultline;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  std::vector<std::pair<std::string, std::string>> pairs;
  if (DecodeForm(text, pairs)) {
    for (const auto& [name, value] : pairs) {
      FAULTLINE_ASSERT(name.find('\0') == std::string::npos && value.find('\0') == std::string::npos, "NUL came through");
    }
  }
  FAULTLINE_ASSERT(pairs.size() <= kMaxFormPairs, "more pairs than the bound");
  if (const auto parts = DecodePath(text)) {
    static constexpr Route kRoutes[] = {{"GET", "/a/{b}/c"}, {"POST", "/a/b/{c}"}, {"GET", "/"}};
    static const Router router(kRoutes);
    const Router::Match match = router.Find("GET", *parts);
    FAULTLINE_ASSERT(match.route == nullptr || match.path_values.size() <= parts->size(), "values of parts");
  }
  return 0;
}
