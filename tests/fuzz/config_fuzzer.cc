// Configuration text: any YAML is read or refused with a reason, and what was read can be given its
// defaults.
#include <cstdint>
#include <string_view>

#include "common/assert.h"
#include "common/config.h"
#include "common/config_defaults.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  faultline::v1::AgentConfig agent;
  const auto read = faultline::ReadYaml(text, "f", &agent);
  FAULTLINE_ASSERT(read || !read.error().message.empty(), "a refusal has a reason");
  if (read) (void)faultline::FillDefaults(&agent);
  faultline::v1::AggregatorConfig aggregator;
  if (faultline::ReadYaml(text, "f", &aggregator)) (void)faultline::FillDefaults(&aggregator);
  (void)faultline::ApplySetting(text.substr(0, text.find('\n')), "--set", &agent);
  return 0;
}
