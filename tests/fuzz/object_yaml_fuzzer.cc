// Objects as people and other systems send them: any text is an object that stays valid, or an error with words.
#include <cstdint>
#include <string_view>

#include "aggregator/objects/label_selector.h"
#include "aggregator/objects/merge_patch.h"
#include "aggregator/objects/object_text.h"
#include "aggregator/objects/yaml.h"
#include "common/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace faultline;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  (void)LabelSelector::Parse(text);
  const auto documents = ParseYaml(text);
  FAULTLINE_ASSERT(documents || !documents.error().message.empty(), "an error says why");
  if (documents && !documents->empty()) {
    const auto back = ParseYaml(WriteYaml(documents->front()));
    FAULTLINE_ASSERT(back && (back->empty() || back->front() == documents->front()), "YAML reads back");
    boost::json::value target = documents->front();
    MergePatch(target, documents->back());
  }
  auto objects = ParseObjects(text);
  FAULTLINE_ASSERT(objects || !objects.error().message.empty(), "an error says why");
  if (objects) {
    for (boost::json::object& body : *objects) FAULTLINE_ASSERT(ValidateObject(body), "what was valid stays valid");
  }
  return 0;
}
