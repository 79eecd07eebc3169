// Fields as text, and options of other programs that come as text.
#include <algorithm>

#include "aggregator/objects/foreign/chaos_mesh_spec.h"
#include "common/text.h"

namespace faultline::dialects {

namespace json = boost::json;

void ReadStressOptions(FieldReader& from, std::string_view field, std::string text,
                       json::object& cpu, json::object& memory, json::object& io,
                       TranslatedChaos& to) {
  std::replace(text.begin(), text.end(), '=', ' ');
  std::string_view rest = text;
  for (std::string_view word = NextWord(rest); !word.empty(); word = NextWord(rest)) {
    const std::string value(NextWord(rest));
    if (word == "--cpu" || word == "-c") {
      cpu["workers"] = value;
    } else if (word == "--cpu-load" || word == "-l") {
      cpu["load"] = value;
    } else if (word == "--vm" || word == "-m") {
      memory["workers"] = value;
    } else if (word == "--vm-bytes") {
      memory["size"] = value;
    } else if (word == "--hdd" || word == "-d" || word == "--io" || word == "-i") {
      io["workers"] = value;
    } else if (word == "--timeout" || word == "-t") {
      to.notes.push_back("--timeout plays no part: the duration holds");
    } else if (word == "--cpu-method" || word == "--cpu-load-slice" || word == "--vm-keep" ||
               word == "--vm-method") {
      to.notes.push_back(std::string(word) + " plays no part: the workers are our own");
    } else {
      from.Refuse(field,
                  "'" + std::string(word) + "' cannot be honoured: no worker of ours does that");
    }
  }
}

std::string TextOf(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_double()) return FormatDouble(value.get_double());
  return value.is_null() ? "" : json::serialize(value);
}

void MoveTexts(FieldReader& from, std::initializer_list<std::string_view> names, json::object& to,
               const std::string& prefix) {
  for (const std::string_view name : names) {
    const json::value* value = from.Any(name);
    if (value == nullptr) continue;
    const std::string path = prefix + std::string(name);
    if (value->is_object() && !StaysWhole(name)) {
      for (const auto& [inner, item] : value->get_object())
        to[path + "." + std::string(inner)] = json::string(TextOf(item));
    } else if (value->is_array()) {
      json::array texts;
      for (const json::value& item : value->get_array())
        texts.push_back(item.is_number() ? json::value(json::string(TextOf(item))) : item);
      to[path] = json::string(json::serialize(texts));
    } else {
      to[path] = json::string(TextOf(*value));
    }
  }
}

void MoveUnlessZero(FieldReader& from, std::string_view name, json::object& to,
                    const std::string& prefix) {
  const json::value* value = from.Any(name);
  if (value != nullptr && TextOf(*value) != "0") MoveTexts(from, {name}, to, prefix);
}

void RefuseFilled(FieldReader& from, std::string_view name, std::string_view reason) {
  const json::value* value = from.Any(name);
  if (value == nullptr) return;
  const bool empty = (value->is_array() && value->get_array().empty()) ||
                     (value->is_object() && value->get_object().empty()) ||
                     (value->is_string() && value->get_string().empty());
  if (!empty) from.Refuse(name, reason);
}

}  // namespace faultline::dialects
