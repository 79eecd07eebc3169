#include "aggregator/objects/field_reader.h"

#include <algorithm>
#include <numeric>

#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

bool IsLowerAlphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// Levenshtein distance: how many single-letter edits lie between two words.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t up = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = up;
    }
  }
  return row[b.size()];
}

std::string_view TypeName(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return "a boolean";
    case json::kind::int64:
    case json::kind::uint64: return "an integer";
    case json::kind::double_: return "a number";
    case json::kind::string: return "a string";
    case json::kind::array: return "a list";
    case json::kind::object: return "an object";
  }
  return "something else";
}

}  // namespace

bool IsObjectName(std::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  if (!IsLowerAlphanumeric(name.front()) || !IsLowerAlphanumeric(name.back())) return false;
  return std::ranges::all_of(name, [](char c) { return IsLowerAlphanumeric(c) || c == '-' || c == '.'; });
}

bool IsSnakeCase(std::string_view name) {
  if (name.empty() || name.size() > 63 || name.front() < 'a' || name.front() > 'z') return false;
  return std::ranges::all_of(name, [](char c) { return IsLowerAlphanumeric(c) || c == '_'; });
}

bool StaysWhole(std::string_view parameter) {
  return parameter == "attr" || parameter == "mistake" || parameter == "matchLabels" ||
         parameter.ends_with("headers") || parameter.ends_with("queries");
}

std::string NearestWord(std::string_view name, const std::vector<std::string>& candidates) {
  std::string nearest;
  size_t best = name.size() / 3 + 2;
  if (name.size() > 64) return nearest;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(name, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

FieldReader::FieldReader(json::object& object, std::string path) : object_(object), path_(std::move(path)) {}

std::string FieldReader::PathOf(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

void FieldReader::Refuse(std::string_view name, std::string_view reason) {
  if (!error_) error_ = Error{ErrorCode::kInvalidArgument, fmt::format("{}: {}", PathOf(name), reason)};
}

json::value* FieldReader::Any(std::string_view name, Need need) {
  known_.emplace_back(name);
  json::value* value = object_.if_contains(name);
  if (value != nullptr && value->is_null()) {
    object_.erase(name);  // as in Kubernetes, null is absent
    value = nullptr;
  }
  if (value == nullptr && need == Need::kRequired) Refuse(name, "is missing");
  return value;
}

const json::string* FieldReader::String(std::string_view name, Need need) {
  json::value* value = Any(name, need);
  if (value == nullptr) return nullptr;
  if (!value->is_string()) {
    Refuse(name, fmt::format("expected a string, got {}", TypeName(*value)));
    return nullptr;
  }
  if (need == Need::kRequired && value->get_string().empty()) Refuse(name, "is empty");
  return &value->get_string();
}

std::optional<int64_t> FieldReader::Integer(std::string_view name, int64_t min, int64_t max, Need need) {
  json::value* value = Any(name, need);
  if (value == nullptr) return std::nullopt;
  if (!value->is_int64() || value->get_int64() < min || value->get_int64() > max) {
    Refuse(name, fmt::format("expected an integer from {} to {}", min, max));
    return std::nullopt;
  }
  return value->get_int64();
}

std::optional<double> FieldReader::Number(std::string_view name, double min, double max, Need need) {
  json::value* value = Any(name, need);
  if (value == nullptr) return std::nullopt;
  boost::system::error_code error;
  const double number = value->is_number() ? value->to_number<double>(error) : max + 1;
  if (error || !(number >= min && number <= max)) {
    Refuse(name, fmt::format("expected a number from {} to {}", min, max));
    return std::nullopt;
  }
  return number;
}

std::optional<bool> FieldReader::Boolean(std::string_view name) {
  json::value* value = Any(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) {
    Refuse(name, fmt::format("expected true or false, got {}", TypeName(*value)));
    return std::nullopt;
  }
  return value->get_bool();
}

std::optional<int64_t> FieldReader::DurationNs(std::string_view name, Need need) {
  const json::string* text = String(name, need);
  if (text == nullptr) return std::nullopt;
  const auto ns = ParseDurationNs(*text);
  if (!ns || *ns <= 0) {
    Refuse(name, fmt::format("expected a duration above zero such as 30s, got '{}'", std::string_view(*text)));
    return std::nullopt;
  }
  return ns;
}

std::optional<int64_t> FieldReader::Time(std::string_view name, Need need) {
  const json::string* text = String(name, need);
  if (text == nullptr) return std::nullopt;
  const auto ns = ParseTime(*text);
  if (!ns) {
    Refuse(name, fmt::format("expected a time such as 2026-01-31T12:00:00Z, got '{}'", std::string_view(*text)));
  }
  return ns;
}

std::string FieldReader::Word(std::string_view name, std::initializer_list<std::string_view> words,
                              std::string_view otherwise) {
  const bool absent = Any(name) == nullptr;
  if (absent) {
    if (!otherwise.empty()) object_[name] = json::string(otherwise);
    return std::string(otherwise);
  }
  const json::string* text = String(name);
  if (text == nullptr) return {};
  if (std::ranges::find(words, std::string_view(*text)) == words.end()) {
    Refuse(name, fmt::format("'{}' is not one of {}", std::string_view(*text), fmt::join(words, ", ")));
  }
  return std::string(*text);
}

std::vector<std::string> FieldReader::Strings(std::string_view name) {
  std::vector<std::string> strings;
  json::value* value = Any(name);
  if (value == nullptr) return strings;
  if (!value->is_array()) {
    Refuse(name, fmt::format("expected a list of strings, got {}", TypeName(*value)));
    return strings;
  }
  for (size_t i = 0; i < value->get_array().size(); ++i) {
    const json::value& item = value->get_array()[i];
    if (!item.is_string() || item.get_string().empty()) {
      Refuse(fmt::format("{}[{}]", name, i),
             item.is_string() ? "is empty" : fmt::format("expected a string, got {}", TypeName(item)));
      continue;
    }
    strings.emplace_back(item.get_string());
  }
  return strings;
}

void FieldReader::StringMap(std::string_view name) {
  json::value* value = Any(name);
  if (value == nullptr) return;
  if (!value->is_object()) {
    Refuse(name, fmt::format("expected an object of strings, got {}", TypeName(*value)));
    return;
  }
  for (auto& [key, item] : value->get_object()) {
    if (item.is_number() || item.is_bool()) {
      item = json::string(json::serialize(item));
    } else if (!item.is_string()) {
      Refuse(fmt::format("{}.{}", name, std::string_view(key)),
             fmt::format("expected a string, got {}", TypeName(item)));
    }
  }
}

void FieldReader::StringLists(std::string_view name) {
  Object(name, [](FieldReader& lists) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : lists.object_) keys.emplace_back(std::string_view(key));
    for (const std::string& key : keys) lists.Strings(key);
  });
}

void FieldReader::Object(std::string_view name, const std::function<void(FieldReader&)>& read, Need need) {
  json::value* value = Any(name, need);
  if (value == nullptr) return;
  if (!value->is_object()) {
    Refuse(name, fmt::format("expected an object, got {}", TypeName(*value)));
    return;
  }
  FieldReader reader(value->get_object(), PathOf(name));
  read(reader);
  if (auto done = reader.Done(); !done && !error_) error_ = done.error();
}

void FieldReader::Objects(std::string_view name, const std::function<void(FieldReader&)>& read) {
  json::value* value = Any(name);
  if (value == nullptr) return;
  if (!value->is_array()) {
    Refuse(name, fmt::format("expected a list, got {}", TypeName(*value)));
    return;
  }
  for (size_t i = 0; i < value->get_array().size(); ++i) {
    const std::string item_name = fmt::format("{}[{}]", name, i);
    json::value& item = value->get_array()[i];
    if (!item.is_object()) {
      Refuse(item_name, fmt::format("expected an object, got {}", TypeName(item)));
      return;
    }
    FieldReader reader(item.get_object(), PathOf(item_name));
    read(reader);
    if (auto done = reader.Done(); !done && !error_) error_ = done.error();
  }
}

Result<void> FieldReader::Done() {
  if (error_) return std::unexpected(*error_);
  for (const auto& [key, value] : object_) {
    const std::string_view name = key;
    if (value.is_null() || std::ranges::find(known_, name) != known_.end()) continue;
    const std::string nearest = NearestWord(name, known_);
    return Fail(ErrorCode::kInvalidArgument, "{}: unknown field{}", PathOf(name),
                nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest));
  }
  return {};
}

}  // namespace faultline
