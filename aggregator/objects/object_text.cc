#include "aggregator/objects/object_text.h"

#include "aggregator/objects/field_reader.h"
#include "aggregator/objects/foreign/dialect.h"
#include "aggregator/objects/objects.h"
#include "aggregator/objects/yaml.h"

namespace faultline {
namespace {

namespace json = boost::json;
using Need = FieldReader::Need;

constexpr size_t kMaxObjects = 1000;

void ReadMetadata(FieldReader& metadata) {
  const json::string* name = metadata.String("name", Need::kRequired);
  if (name != nullptr && !name->empty() && !IsObjectName(*name)) {
    metadata.Refuse("name", "expected lower-case letters, digits, - and ., at most 253 of them");
  }
  const json::string* name_space = metadata.String("namespace");
  if (name_space != nullptr && !name_space->empty() && !IsObjectName(*name_space)) {
    metadata.Refuse("namespace", "expected lower-case letters, digits and -");
  }
  metadata.StringMap("labels");
  metadata.StringMap("annotations");
  metadata.Strings("finalizers");
  metadata.String("resourceVersion");
  // The registry says these; a body that was read and comes back has them.
  for (const std::string_view owned : {"uid", "generation", "creationTimestamp", "deletionTimestamp",
                                       "selfLink", "managedFields", "ownerReferences", "generateName",
                                       "deletionGracePeriodSeconds"}) {
    metadata.Any(owned);
  }
}

std::string PathOf(const Error& error) { return error.message.substr(0, error.message.find(": ")); }

// Adds where in the text the field stands.
std::unexpected<Error> Located(Error error, std::string_view text, size_t document) {
  const std::string place = FindYamlField(text, document, PathOf(error));
  if (!place.empty()) error.message = fmt::format("{}: {}", place, error.message);
  return std::unexpected(std::move(error));
}

// apiVersion, kind and metadata.name are there and are strings.
Result<void> CheckEnvelope(const json::object& body) {
  for (const std::string_view name : {"apiVersion", "kind"}) {
    const json::value* value = body.if_contains(name);
    if (value == nullptr || !value->is_string()) {
      return Fail(ErrorCode::kInvalidArgument, "{}: is missing or not a string", name);
    }
  }
  const json::value* metadata = body.if_contains("metadata");
  if (metadata == nullptr || !metadata->is_object()) {
    return Fail(ErrorCode::kInvalidArgument, "metadata: is missing or not an object");
  }
  const json::value* name = metadata->get_object().if_contains("name");
  if (name == nullptr || !name->is_string()) {
    return Fail(ErrorCode::kInvalidArgument, "metadata.name: is missing or not a string");
  }
  return {};
}

Result<void> AddObject(json::value& document, std::vector<json::object>& objects) {
  if (!document.is_object()) {
    return Fail(ErrorCode::kInvalidArgument, "expected an object with apiVersion, kind, metadata and spec");
  }
  json::object& body = document.get_object();
  const json::value* kind = body.if_contains("kind");
  if (kind != nullptr && kind->is_string() && kind->get_string() == "List" && body.contains("items") &&
      body["items"].is_array()) {
    for (json::value& item : body["items"].get_array()) FAULTLINE_TRY(AddObject(item, objects));
    return {};
  }
  if (objects.size() >= kMaxObjects) {
    return Fail(ErrorCode::kInvalidArgument, "more than {} objects in one text", kMaxObjects);
  }
  FAULTLINE_TRY(CheckEnvelope(body));
  const std::string_view api_version = body["apiVersion"].get_string();
  if (api_version == kApiVersion) {
    objects.push_back(std::move(body));
    return {};
  }
  for (const DialectRow& dialect : DialectCatalogue()) {
    if (dialect.api_version != api_version) continue;
    FAULTLINE_ASSIGN(std::vector<json::object> translated, dialect.translate(body));
    for (json::object& object : translated) objects.push_back(std::move(object));
    return {};
  }
  std::string known(kApiVersion);
  for (const DialectRow& dialect : DialectCatalogue()) known += fmt::format(", {}", dialect.api_version);
  return Fail(ErrorCode::kUnsupported, "apiVersion: {} is not one of {}", api_version, known);
}

}  // namespace

Result<std::vector<json::object>> ParseObjects(std::string_view text) {
  FAULTLINE_ASSIGN(std::vector<json::value> documents, ParseYaml(text));
  std::vector<json::object> objects;
  for (size_t i = 0; i < documents.size(); ++i) {
    const size_t first = objects.size();
    if (auto added = AddObject(documents[i], objects); !added) return Located(added.error(), text, i);
    // Translated bodies are checked too, so that what is refused is refused with its place in the text.
    for (size_t j = first; j < objects.size(); ++j) {
      if (auto valid = ValidateObject(objects[j]); !valid) return Located(valid.error(), text, i);
    }
  }
  if (objects.empty()) return Fail(ErrorCode::kInvalidArgument, "the text has no object");
  return objects;
}

Result<void> ValidateObject(json::object& body) {
  FAULTLINE_TRY(CheckEnvelope(body));
  if (body["apiVersion"].get_string() != kApiVersion) {
    return Fail(ErrorCode::kUnsupported, "apiVersion: expected {}", kApiVersion);
  }
  const std::string kind(body["kind"].get_string());
  const ObjectKindRow* row = FindObjectKind(kind);
  if (row == nullptr || row->kind != kind) {
    std::vector<std::string> kinds;
    for (const ObjectKindRow& known : ObjectKindCatalogue()) kinds.emplace_back(known.kind);
    return Fail(ErrorCode::kUnsupported, "kind: {} is not one of {}", kind, fmt::join(kinds, ", "));
  }
  FieldReader metadata(body["metadata"].get_object(), "metadata");
  ReadMetadata(metadata);
  FAULTLINE_TRY(metadata.Done());
  return row->validate(body);
}

std::map<std::string, std::string> LabelsOf(const json::object& body) {
  std::map<std::string, std::string> labels;
  const json::value* metadata = body.if_contains("metadata");
  if (metadata == nullptr || !metadata->is_object()) return labels;
  const json::value* object = metadata->get_object().if_contains("labels");
  if (object == nullptr || !object->is_object()) return labels;
  for (const auto& [name, value] : object->get_object()) {
    if (value.is_string()) labels.emplace(name, value.get_string());
  }
  return labels;
}

}  // namespace faultline
