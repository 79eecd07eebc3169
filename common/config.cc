// A strict walk of a YAML tree beside a protobuf descriptor: every key must be a field, every value
// must fit its type. What is wrong is said where it is (line and column of the node). The message
// is replaced only when everything was right, so a bad file never leaves half a configuration.
// Limits: text of 1 MiB, 100000 values (an alias counts each time it is used), one document.
#include "common/config.h"

#include <google/protobuf/duration.pb.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <memory>
#include <set>

#include "common/clock.h"
#include "common/text.h"
#include "common/yaml_documents.h"

namespace faultline {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kMaxTextBytes = size_t{1} << 20;
constexpr size_t kMaxValues = 100'000;

bool IsDuration(const FieldDescriptor* field) {
  return field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
         field->message_type()->full_name() == "google.protobuf.Duration";
}

bool IsOneValue(const FieldDescriptor* field) {
  return !field->is_repeated() &&
         (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || IsDuration(field));
}

std::string Join(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

std::string UnknownKey(const Descriptor* descriptor, std::string_view key) {
  std::vector<std::string_view> names;
  for (int i = 0; i < descriptor->field_count(); ++i) names.push_back(descriptor->field(i)->name());
  const std::string_view near = NearestName(key, names);
  if (!near.empty()) return fmt::format("unknown key (did you mean `{}`?)", near);
  return "unknown key";
}

class Reader {
 public:
  // `marks`: the text is a file, so lines and columns mean something.
  Reader(std::string_view origin, bool marks) : origin_(origin), marks_(marks) {}

  Result<void> ReadMessage(const YAML::Node& node, const std::string& path, Message* message) {
    FAULTLINE_TRY(Spend(node, path));
    if (node.IsNull()) return {};  // a section whose keys are all commented out
    if (!node.IsMap()) return Wrong(node, path, "must be a section of `key: value` lines");
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) return Wrong(entry.first, path, "a key must be a plain word");
      const std::string& key = entry.first.Scalar();
      const std::string key_path = Join(path, key);
      if (!seen.insert(key).second) return Wrong(entry.first, key_path, "given twice");
      const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(key);
      if (field == nullptr) {
        return Wrong(entry.first, key_path, UnknownKey(message->GetDescriptor(), key));
      }
      // The mark of a missing value is wherever the next token is: point at the key.
      if (entry.second.IsNull() && IsOneValue(field))
        return Wrong(entry.first, key_path, "has no value");
      FAULTLINE_TRY(ReadField(entry.second, key_path, field, message));
    }
    return {};
  }

  Result<void> ReadField(const YAML::Node& node, const std::string& path,
                         const FieldDescriptor* field, Message* message) {
    if (field->is_map()) return ReadMap(node, path, field, message);
    if (field->is_repeated()) return ReadList(node, path, field, message);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !IsDuration(field)) {
      return ReadMessage(node, path, message->GetReflection()->MutableMessage(message, field));
    }
    return ReadValue(node, path, field, message);
  }

  std::unexpected<Error> Wrong(const YAML::Node& node, std::string_view path,
                               std::string_view reason) const {
    const YAML::Mark mark = node.Mark();
    std::string place = origin_;
    if (marks_ && !mark.is_null()) place += fmt::format(":{}:{}", mark.line + 1, mark.column + 1);
    if (!path.empty()) place += fmt::format(": {}", path);
    return Fail(ErrorCode::kInvalidArgument, "{}: {}", place, reason);
  }

 private:
  Result<void> Spend(const YAML::Node& node, const std::string& path) {
    if (++values_ > kMaxValues)
      return Wrong(node, path, fmt::format("more than {} values", kMaxValues));
    return {};
  }

  Result<void> ReadMap(const YAML::Node& node, const std::string& path,
                       const FieldDescriptor* field, Message* message) {
    FAULTLINE_TRY(Spend(node, path));
    if (node.IsNull()) return {};
    if (!node.IsMap()) return Wrong(node, path, "must be a section of `name: value` lines");
    const FieldDescriptor* key_field = field->message_type()->map_key();
    const FieldDescriptor* value_field = field->message_type()->map_value();
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) return Wrong(entry.first, path, "a name must be a plain word");
      const std::string entry_path = Join(path, entry.first.Scalar());
      if (!seen.insert(entry.first.Scalar()).second)
        return Wrong(entry.first, entry_path, "given twice");
      Message* item = EntryOf(entry.first.Scalar(), field, message);
      FAULTLINE_TRY(ReadValue(entry.first, entry_path, key_field, item));
      FAULTLINE_TRY(ReadField(entry.second, entry_path, value_field, item));
    }
    return {};
  }

  // The map's entry of that key, made if need be (entries of a map are a repeated message to
  // reflection).
  static Message* EntryOf(const std::string& key, const FieldDescriptor* field, Message* message) {
    const Reflection* reflection = message->GetReflection();
    const FieldDescriptor* key_field = field->message_type()->map_key();
    if (key_field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      for (int i = 0; i < reflection->FieldSize(*message, field); ++i) {
        Message* item = reflection->MutableRepeatedMessage(message, field, i);
        if (item->GetReflection()->GetString(*item, key_field) == key) return item;
      }
    }
    return reflection->AddMessage(message, field);
  }

  Result<void> ReadList(const YAML::Node& node, const std::string& path,
                        const FieldDescriptor* field, Message* message) {
    FAULTLINE_TRY(Spend(node, path));
    message->GetReflection()->ClearField(message, field);
    if (node.IsNull()) return {};
    if (!node.IsSequence())
      return ReadItem(node, path, field, message);  // one item without the dash
    size_t index = 0;
    for (const auto& item : node) {
      FAULTLINE_TRY(ReadItem(item, fmt::format("{}[{}]", path, index++), field, message));
    }
    return {};
  }

  Result<void> ReadItem(const YAML::Node& node, const std::string& path,
                        const FieldDescriptor* field, Message* message) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !IsDuration(field)) {
      return ReadMessage(node, path, message->GetReflection()->AddMessage(message, field));
    }
    return ReadValue(node, path, field, message);
  }

  Result<void> ReadValue(const YAML::Node& node, const std::string& path,
                         const FieldDescriptor* field, Message* message) {
    FAULTLINE_TRY(Spend(node, path));
    if (node.IsNull()) return Wrong(node, path, "has no value");
    if (!node.IsScalar()) return Wrong(node, path, "must be one value, not a list or a section");
    const bool quoted = node.Tag() == "!";
    if (const auto reason = SetValue(node.Scalar(), quoted, field, message))
      return Wrong(node, path, *reason);
    return {};
  }

  // Sets, or adds to a list. The reason why not.
  static std::optional<std::string> SetValue(const std::string& text, bool quoted,
                                             const FieldDescriptor* field, Message* message);
  static std::optional<std::string> SetInteger(const std::string& text,
                                               const FieldDescriptor* field, Message* message);

  const std::string origin_;
  const bool marks_;
  size_t values_ = 0;
};

#define FAULTLINE_SET(Type, value)                                                     \
  (field->is_repeated() ? message->GetReflection()->Add##Type(message, field, (value)) \
                        : message->GetReflection()->Set##Type(message, field, (value)))

std::optional<std::string> Reader::SetInteger(const std::string& text, const FieldDescriptor* field,
                                              Message* message) {
  const bool bytes = field->name().ends_with("_bytes");
  // A plain proto3 number cannot tell 0 from unset, so 0 would silently become the default.
  const bool zero_is_default = !field->is_repeated() && !field->has_presence();
  const auto in_range = [&](auto value, auto low, auto high) -> std::optional<std::string> {
    if (value < low || value > high)
      return fmt::format("`{}` is not within {} and {}", text, low, high);
    if (value == 0 && zero_is_default) return "must not be 0; leave it out for the default";
    return std::nullopt;
  };
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT32 ||
      field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
    const auto value = ParseInt(text);
    if (!value) return fmt::format("`{}` is not a whole number", text);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
      FAULTLINE_SET(Int64, *value);
      return std::nullopt;
    }
    auto reason = in_range(*value, int64_t{std::numeric_limits<int32_t>::min()},
                           int64_t{std::numeric_limits<int32_t>::max()});
    if (!reason) FAULTLINE_SET(Int32, static_cast<int32_t>(*value));
    return reason;
  }
  const auto value = bytes ? ParseBytes(text) : ParseUint(text);
  if (!value && bytes) return fmt::format("`{}` is not a size as 512, 64KiB or 10MiB", text);
  if (!value) return fmt::format("`{}` is not a whole number of 0 or more", text);
  const bool wide = field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
  const auto reason = in_range(
      *value, uint64_t{0},
      wide ? std::numeric_limits<uint64_t>::max() : uint64_t{std::numeric_limits<uint32_t>::max()});
  if (reason) return reason;
  if (wide) {
    FAULTLINE_SET(UInt64, *value);
  } else {
    FAULTLINE_SET(UInt32, static_cast<uint32_t>(*value));
  }
  return std::nullopt;
}

std::optional<std::string> SetDuration(const std::string& text, const FieldDescriptor* field,
                                       Message* message) {
  const auto ns = ParseDurationNs(text);
  if (!ns || *ns < 0)
    return fmt::format("`{}` is not a duration as 500ms, 10s, 1h30m or 15d", text);
  const Reflection* reflection = message->GetReflection();
  Message* made = field->is_repeated() ? reflection->AddMessage(message, field)
                                       : reflection->MutableMessage(message, field);
  google::protobuf::Duration duration;
  duration.set_seconds(*ns / kNsPerSecond);
  duration.set_nanos(static_cast<int32_t>(*ns % kNsPerSecond));
  made->CopyFrom(duration);
  return std::nullopt;
}

std::optional<std::string> Reader::SetValue(const std::string& text, bool quoted,
                                            const FieldDescriptor* field, Message* message) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      if (!IsValidUtf8(text)) return "is not valid UTF-8";
      if (text.find('\0') != std::string::npos) return "holds a zero byte";
      FAULTLINE_SET(String, text);
      return std::nullopt;
    case FieldDescriptor::CPPTYPE_BOOL:
      if (quoted || (text != "true" && text != "false")) {
        return fmt::format("`{}` is neither true nor false", text);
      }
      FAULTLINE_SET(Bool, text == "true");
      return std::nullopt;
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return SetDuration(text, field, message);
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      const auto value = ParseDouble(text);
      if (!value || quoted) return fmt::format("`{}` is not a number", text);
      FAULTLINE_SET(Double, *value);
      return std::nullopt;
    }
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return SetInteger(text, field, message);
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_ENUM:
      break;
  }
  return fmt::format("the schema's type {} cannot be configured", field->cpp_type_name());
}

#undef FAULTLINE_SET

Result<YAML::Node> Parse(std::string_view yaml, std::string_view origin, bool marks) {
  if (yaml.size() > kMaxTextBytes) {
    return Fail(ErrorCode::kInvalidArgument, "{}: {} bytes; at most {} are read", origin,
                yaml.size(), kMaxTextBytes);
  }
  FAULTLINE_TRY(CheckYamlDocuments(yaml, 1, origin));
  try {
    return YAML::Load(std::string(yaml));
  } catch (const YAML::Exception& e) {
    if (!marks || e.mark.is_null())
      return Fail(ErrorCode::kInvalidArgument, "{}: {}", origin, e.msg);
    return Fail(ErrorCode::kInvalidArgument, "{}:{}:{}: {}", origin, e.mark.line + 1,
                e.mark.column + 1, e.msg);
  } catch (const std::exception& e) {
    return Fail(ErrorCode::kInvalidArgument, "{}: {}", origin, e.what());
  }
}

// Runs `read` on a copy of `message`, which becomes the message when all went well. yaml-cpp throws
// where a node is not what it was taken for.
template <typename Read>
Result<void> ReadAll(std::string_view origin, Message* message, Read read) {
  const std::unique_ptr<Message> copy(message->New());
  copy->CopyFrom(*message);
  try {
    FAULTLINE_TRY(read(copy.get()));
  } catch (const std::exception& e) {
    return Fail(ErrorCode::kInvalidArgument, "{}: {}", origin, e.what());
  }
  message->GetReflection()->Swap(message, copy.get());
  return {};
}

// The text of a setting for the field it names: YAML where YAML is meant (a list, a section), the
// bare text elsewhere, so that `[::1]:8710` and `*.log` need no quotes.
Result<YAML::Node> SettingValue(std::string_view text, std::string_view origin,
                                const FieldDescriptor* field) {
  const bool section = field->is_map() || (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
                                           !IsDuration(field));
  const bool list = field->is_repeated() && text.starts_with('[') && text.ends_with(']');
  if (section || list) return Parse(text, origin, false);
  if (field->is_repeated() && text.empty()) return YAML::Node(YAML::NodeType::Null);
  return YAML::Node(std::string(text));
}

// `keys` leads from `message` to the field to set.
Result<void> Set(const std::vector<std::string>& keys, std::string_view text,
                 std::string_view origin, Message* message) {
  Reader reader(origin, false);
  const YAML::Node nowhere;
  std::string path;
  for (size_t i = 0; i < keys.size(); ++i) {
    path = Join(path, keys[i]);
    const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(keys[i]);
    if (field == nullptr)
      return reader.Wrong(nowhere, path, UnknownKey(message->GetDescriptor(), keys[i]));
    if (i + 1 == keys.size()) {
      FAULTLINE_ASSIGN(const YAML::Node value, SettingValue(text, origin, field));
      return reader.ReadField(value, path, field, message);
    }
    if (field->is_map()) {
      // The rest of the keys is one entry: read it as the section {name: {key: value}}.
      const FieldDescriptor* entry_value = field->message_type()->map_value();
      YAML::Node entry(YAML::NodeType::Map);
      if (i + 2 == keys.size()) {
        FAULTLINE_ASSIGN(const YAML::Node value, SettingValue(text, origin, entry_value));
        entry[keys[i + 1]] = value;
      } else if (i + 3 == keys.size() &&
                 entry_value->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        const FieldDescriptor* leaf = entry_value->message_type()->FindFieldByName(keys[i + 2]);
        if (leaf == nullptr) {
          return reader.Wrong(nowhere, path, UnknownKey(entry_value->message_type(), keys[i + 2]));
        }
        FAULTLINE_ASSIGN(const YAML::Node value, SettingValue(text, origin, leaf));
        entry[keys[i + 1]][keys[i + 2]] = value;
      } else {
        return reader.Wrong(nowhere, path, "too many parts behind this name");
      }
      return reader.ReadField(entry, path, field, message);
    }
    if (field->is_repeated() || field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE ||
        IsDuration(field)) {
      return reader.Wrong(nowhere, path, fmt::format("is a value and has no `{}`", keys[i + 1]));
    }
    message = message->GetReflection()->MutableMessage(message, field);
  }
  return {};
}

// Kubernetes gives every pod FAULTLINE_PORT_8710_TCP_ADDR and the like for a Service called
// faultline….
bool IsServiceLink(std::string_view name) {
  if (name.ends_with("_SERVICE_HOST")) return true;
  for (const std::string_view mark : {"_SERVICE_PORT", "_PORT"}) {
    const size_t at = name.rfind(mark);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = name.substr(at + mark.size());
    if (rest.empty() || rest.starts_with('_')) return true;
  }
  const size_t port = name.find("_PORT_");
  return port != std::string_view::npos && name.find("_TCP", port) != std::string_view::npos;
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view NearestName(std::string_view name, const std::vector<std::string_view>& names) {
  constexpr size_t kMaxNameBytes = 64;
  if (name.size() > kMaxNameBytes) return {};
  std::string_view best;
  size_t best_distance = std::max<size_t>(1, name.size() / 3) + 1;
  for (const std::string_view candidate : names) {
    const size_t distance = EditDistance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

Result<void> ReadYaml(std::string_view yaml, std::string_view origin, Message* message) {
  FAULTLINE_ASSIGN(const YAML::Node root, Parse(yaml, origin, true));
  return ReadAll(origin, message,
                 [&](Message* copy) { return Reader(origin, true).ReadMessage(root, "", copy); });
}

Result<void> ApplySetting(std::string_view setting, std::string_view origin, Message* message) {
  const size_t equals = setting.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return Fail(ErrorCode::kInvalidArgument, "{}: `{}` is not of the form a.b.c=value", origin,
                setting);
  }
  std::vector<std::string> keys;
  for (const std::string_view key : Split(setting.substr(0, equals), '.')) keys.emplace_back(key);
  return ReadAll(origin, message, [&](Message* copy) {
    return Set(keys, setting.substr(equals + 1), origin, copy);
  });
}

Result<void> ApplyEnvironment(const char* const* environment,
                              const std::vector<std::string>& ignored, Message* message) {
  constexpr std::string_view kPrefix = "FAULTLINE_";
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const std::string_view entry = *environment;
    const std::string_view name = entry.substr(0, entry.find('='));
    if (!name.starts_with(kPrefix) || name.size() == entry.size()) continue;
    if (std::ranges::find(ignored, name) != ignored.end() || IsServiceLink(name)) continue;
    std::vector<std::string> keys(1);
    const std::string_view path = name.substr(kPrefix.size());
    for (size_t i = 0; i < path.size(); ++i) {
      if (path.substr(i).starts_with("__")) {
        keys.emplace_back();
        ++i;
      } else {
        keys.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(path[i])));
      }
    }
    FAULTLINE_TRY(ReadAll(name, message, [&](Message* copy) {
      return Set(keys, entry.substr(name.size() + 1), name, copy);
    }));
  }
  return {};
}

}  // namespace faultline
