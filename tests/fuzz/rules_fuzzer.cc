// Rule files as people write them, and the templates in them.
#include <cstdint>
#include <string_view>

#include "aggregator/alerts/rule_file.h"
#include "aggregator/alerts/rule_group.h"
#include "aggregator/alerts/template.h"
#include "tests/support/memory_store.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace faultline;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  alerts::TemplateContext context;
  context.labels = {{"a", "b"}};
  context.value = 1.5;
  (void)alerts::ExpandTemplate(text, context);
  const auto groups = alerts::ParseRuleFile(text, "fuzz.yml");
  if (!groups) return 0;
  MemoryStore store;
  alerts::RuleWorld world;
  world.store = &store;
  world.make_source = [&] { return promql::MakeSeriesSource(&store, {}); };
  for (const alerts::GroupSpec& group : *groups) {
    for (const alerts::RuleSpec& rule : group.rules) {
      if (rule.alerting) (void)alerts::MakeAlert(rule, context.labels, 1, 1, world);
    }
  }
  return 0;
}
