#include "aggregator/objects/yaml.h"

#include <cmath>

#include <yaml-cpp/yaml.h>

#include "common/text.h"
#include "common/yaml_documents.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr int kMaxDepth = 64;
constexpr size_t kMaxDocuments = 1000;
constexpr size_t kMaxNodes = 200'000;
constexpr size_t kMaxPlainKey = 1000;

std::string At(const YAML::Mark& mark) {
  return mark.is_null() ? std::string("1:1") : fmt::format("{}:{}", mark.line + 1, mark.column + 1);
}

// What a plain scalar is in the core schema; a string if nothing else fits.
json::value ResolvePlain(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  std::string_view digits = text;
  if (digits.starts_with("0x")) {
    if (const auto number = ParseUint(digits.substr(2), 16)) return *number;
  } else if (digits.starts_with("0o")) {
    if (const auto number = ParseUint(digits.substr(2), 8)) return *number;
  }
  if (digits.front() == '+') digits.remove_prefix(1);
  if (const auto number = ParseInt(digits)) return *number;
  if (const auto number = ParseUint(digits)) return *number;
  const bool looks_numeric = digits.find_first_not_of("0123456789.eE+-") == std::string_view::npos &&
                             digits.find_first_of("0123456789") != std::string_view::npos;
  if (looks_numeric) {
    std::string padded(digits);
    if (padded.starts_with('.')) padded.insert(0, "0");
    if (padded.starts_with("-.")) padded.insert(1, "0");
    if (const auto number = ParseDouble(padded); number && std::isfinite(*number)) return *number;
  }
  return json::string(text);
}

class Converter {
 public:
  Result<json::value> Convert(const YAML::Node& node, int depth) {
    if (depth > kMaxDepth) {
      return Fail(ErrorCode::kInvalidArgument, "{}: nested deeper than {}", At(node.Mark()), kMaxDepth);
    }
    if (++nodes_ > kMaxNodes) {
      return Fail(ErrorCode::kInvalidArgument, "{}: more than {} nodes", At(node.Mark()), kMaxNodes);
    }
    if (node.IsSequence()) return Sequence(node, depth);
    if (node.IsMap()) return Map(node, depth);
    if (node.IsScalar()) return Scalar(node);
    return json::value(nullptr);
  }

 private:
  Result<json::value> Scalar(const YAML::Node& node) {
    const std::string& tag = node.Tag();
    if (!IsValidUtf8(node.Scalar())) {
      return Fail(ErrorCode::kInvalidArgument, "{}: not valid UTF-8", At(node.Mark()));
    }
    if (tag.empty() || tag == "?") return ResolvePlain(node.Scalar());
    if (tag == "!" || tag == "tag:yaml.org,2002:str") return json::value(json::string(node.Scalar()));
    return Fail(ErrorCode::kInvalidArgument, "{}: tag {} is not understood", At(node.Mark()), tag);
  }

  Result<json::value> Sequence(const YAML::Node& node, int depth) {
    json::array items;
    for (const YAML::Node& child : node) {
      FAULTLINE_ASSIGN(json::value value, Convert(child, depth + 1));
      items.push_back(std::move(value));
    }
    return json::value(std::move(items));
  }

  Result<json::value> Map(const YAML::Node& node, int depth) {
    json::object fields;
    for (const auto& pair : node) {
      if (!pair.first.IsScalar()) {
        return Fail(ErrorCode::kInvalidArgument, "{}: a key must be a plain word", At(node.Mark()));
      }
      const std::string& key = pair.first.Scalar();
      if (!IsValidUtf8(key)) {
        return Fail(ErrorCode::kInvalidArgument, "{}: not valid UTF-8", At(pair.first.Mark()));
      }
      if (fields.contains(key)) {
        return Fail(ErrorCode::kInvalidArgument, "{}: key {} is there twice", At(pair.first.Mark()), key);
      }
      FAULTLINE_ASSIGN(json::value value, Convert(pair.second, depth + 1));
      fields.emplace(key, std::move(value));
    }
    return json::value(std::move(fields));
  }

  size_t nodes_ = 0;
};

bool NeedsQuotes(std::string_view text) {
  if (text.empty() || !ResolvePlain(std::string(text)).is_string()) return true;
  static constexpr std::string_view kLeading = "-?:,[]{}#&*!|>'\"%@` ";
  if (kLeading.find(text.front()) != std::string_view::npos || text.back() == ' ' || text.back() == ':') {
    return true;
  }
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
  }
  if (text.starts_with("0x") || text.starts_with("0o") || text.starts_with(".")) return true;
  return text.find(": ") != std::string_view::npos || text.find(" #") != std::string_view::npos;
}

std::string Quoted(std::string_view text) { return json::serialize(json::string(text)); }

std::string ScalarText(const json::value& value) {
  if (!value.is_string()) return json::serialize(value);
  const json::string& text = value.get_string();
  return NeedsQuotes(text) ? Quoted(text) : std::string(text);
}

bool IsEmptyContainer(const json::value& value) {
  return (value.is_object() && value.get_object().empty()) ||
         (value.is_array() && value.get_array().empty());
}

// Writes `value` as a block whose lines start at `indent`; `in_line` says that the first line has begun already.
void WriteBlock(const json::value& value, size_t indent, bool in_line, std::string& out) {
  const std::string margin(indent, ' ');
  if (IsEmptyContainer(value)) {
    out += value.is_object() ? "{}\n" : "[]\n";
    return;
  }
  const auto begin_line = [&] {
    if (!in_line) out += margin;
    in_line = false;
  };
  const auto write_child = [&](const json::value& child, size_t child_indent) {
    const bool block = (child.is_object() || child.is_array()) && !IsEmptyContainer(child);
    if (!block) {
      out += " ";
      if (IsEmptyContainer(child)) WriteBlock(child, 0, true, out);
      else out += ScalarText(child) + "\n";
      return;
    }
    out += "\n";
    WriteBlock(child, child_indent, false, out);
  };
  if (value.is_object()) {
    for (const auto& [key, child] : value.get_object()) {
      begin_line();
      // Beyond 1024 characters YAML takes a key only when it is announced.
      const std::string key_text = NeedsQuotes(key) ? Quoted(key) : std::string(key);
      out += key_text.size() <= kMaxPlainKey ? key_text : "? " + key_text + "\n" + margin;
      out += ":";
      write_child(child, child.is_array() ? indent : indent + 2);
    }
  } else if (value.is_array()) {
    for (const json::value& child : value.get_array()) {
      begin_line();
      out += "-";
      if (child.is_object() && !child.get_object().empty()) {
        out += " ";
        WriteBlock(child, indent + 2, true, out);
      } else {
        write_child(child, indent + 2);
      }
    }
  } else {
    out += ScalarText(value) + "\n";
  }
}

// Takes the next step off a.b[2].c: a key, or an index.
bool NextStep(std::string_view& path, std::string& key, std::optional<size_t>& index) {
  index.reset();
  if (path.empty()) return false;
  if (path.front() == '[') {
    const size_t close = path.find(']');
    if (close == std::string_view::npos) return false;
    const auto number = ParseUint(path.substr(1, close - 1));
    index = number ? std::optional<size_t>(*number) : std::nullopt;
    key = std::string(path.substr(1, close - 1));
    path.remove_prefix(close + 1);
  } else {
    const size_t end = path.find_first_of(".[");
    key = std::string(path.substr(0, end));
    path.remove_prefix(end == std::string_view::npos ? path.size() : end);
  }
  if (path.starts_with('.')) path.remove_prefix(1);
  return true;
}

}  // namespace

Result<std::vector<json::value>> ParseYaml(std::string_view text) {
  if (text.size() > kMaxYamlBytes) {
    return Fail(ErrorCode::kInvalidArgument, "text is longer than {} bytes", kMaxYamlBytes);
  }
  const std::string_view trimmed = Trim(text);
  if (trimmed.starts_with('{') || trimmed.starts_with('[')) {
    boost::system::error_code error;
    json::parse_options options;
    options.max_depth = kMaxDepth;
    json::value value = json::parse(trimmed, error, {}, options);
    if (!error) return std::vector<json::value>{std::move(value)};
  }
  FAULTLINE_TRY(CheckYamlDocuments(text, kMaxDocuments, "YAML"));
  std::vector<json::value> documents;
  try {
    for (const YAML::Node& node : YAML::LoadAll(std::string(text))) {
      if (node.IsNull() || !node.IsDefined()) continue;
      FAULTLINE_ASSIGN(json::value value, Converter().Convert(node, 0));
      documents.push_back(std::move(value));
    }
  } catch (const YAML::Exception& exception) {
    return Fail(ErrorCode::kInvalidArgument, "{}: {}", At(exception.mark), exception.msg);
  }
  return documents;
}

std::string WriteYaml(const json::value& value) {
  std::string out;
  WriteBlock(value, 0, false, out);
  return out;
}

std::string FindYamlField(std::string_view text, size_t document, std::string_view path) {
  if (!CheckYamlDocuments(text, kMaxDocuments, "YAML")) return {};
  try {
    std::vector<YAML::Node> nodes;
    for (YAML::Node& node : YAML::LoadAll(std::string(text))) {
      if (!node.IsNull()) nodes.push_back(std::move(node));
    }
    if (document >= nodes.size()) return {};
    YAML::Node node = nodes[document];
    YAML::Mark mark = node.Mark();
    std::string key;
    std::optional<size_t> index;
    while (NextStep(path, key, index)) {
      bool found = false;
      if (node.IsSequence() && index && *index < node.size()) {
        const YAML::Node child = node[*index];
        mark = child.Mark();
        node.reset(child);
        found = true;
      } else if (node.IsMap()) {
        for (const auto& pair : node) {
          if (!pair.first.IsScalar() || pair.first.Scalar() != key) continue;
          mark = pair.first.Mark();
          const YAML::Node child = pair.second;
          node.reset(child);
          found = true;
          break;
        }
      }
      if (!found) break;  // the parent is the nearest place
    }
    return mark.is_null() ? std::string() : At(mark);
  } catch (const YAML::Exception&) {
    return {};
  }
}

}  // namespace faultline
