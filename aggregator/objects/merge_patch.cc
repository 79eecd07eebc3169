#include "aggregator/objects/merge_patch.h"

namespace faultline {

void MergePatch(boost::json::value& target, const boost::json::value& patch) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target = boost::json::object();
  boost::json::object& fields = target.get_object();
  for (const auto& [name, value] : patch.get_object()) {
    if (value.is_null()) {
      fields.erase(name);
    } else {
      MergePatch(fields[name], value);
    }
  }
}

}  // namespace faultline
