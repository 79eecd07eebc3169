#include "aggregator/otlp/attribute_values.h"

#include <boost/json.hpp>

#include "common/base_n.h"
#include "common/text.h"

namespace faultline::otlp {
namespace {

namespace json = boost::json;
using faultline::v1::Attribute;
using faultline::v1::ValueType;

// Depth is bounded by protobuf's own limit on nesting.
json::value JsonOf(const v1::AnyValue& value) {
  switch (value.value_case()) {
    case v1::AnyValue::kBoolValue:
      return value.bool_value();
    case v1::AnyValue::kIntValue:
      return value.int_value();
    case v1::AnyValue::kDoubleValue:
      return value.double_value();
    case v1::AnyValue::kArrayValue: {
      json::array list;
      for (const v1::AnyValue& each : value.array_value().values()) list.push_back(JsonOf(each));
      return list;
    }
    case v1::AnyValue::kKvlistValue: {
      json::object map;
      for (const v1::KeyValue& each : value.kvlist_value().values())
        map[each.key()] = JsonOf(each.value());
      return map;
    }
    case v1::AnyValue::kStringValue:
      return json::string(value.string_value());
    case v1::AnyValue::kBytesValue:
      return json::string(ToBase64(value.bytes_value()));
    case v1::AnyValue::VALUE_NOT_SET:
      break;
  }
  return nullptr;
}

void FromJson(const json::value& from, v1::AnyValue* to) {
  if (from.is_bool()) {
    to->set_bool_value(from.get_bool());
  } else if (from.is_int64()) {
    to->set_int_value(from.get_int64());
  } else if (from.is_double()) {
    to->set_double_value(from.get_double());
  } else if (from.is_string()) {
    to->set_string_value(std::string(from.get_string()));
  } else if (from.is_array()) {
    v1::ArrayValue* list = to->mutable_array_value();
    for (const json::value& each : from.get_array()) FromJson(each, list->add_values());
  } else if (from.is_object()) {
    v1::KeyValueList* map = to->mutable_kvlist_value();
    for (const auto& each : from.get_object()) {
      v1::KeyValue* pair = map->add_values();
      pair->set_key(std::string(each.key()));
      FromJson(each.value(), pair->mutable_value());
    }
  }
}

}  // namespace

std::string TextOf(const v1::AnyValue& value, ValueType* type) {
  ValueType found = faultline::v1::VALUE_TYPE_TEXT;
  std::string text;
  switch (value.value_case()) {
    case v1::AnyValue::kStringValue:
      text = value.string_value();
      break;
    case v1::AnyValue::kIntValue:
      found = faultline::v1::VALUE_TYPE_INTEGER;
      text = std::to_string(value.int_value());
      break;
    case v1::AnyValue::kDoubleValue:
      found = faultline::v1::VALUE_TYPE_DOUBLE;
      text = FormatDouble(value.double_value());
      break;
    case v1::AnyValue::kBoolValue:
      found = faultline::v1::VALUE_TYPE_BOOLEAN;
      text = value.bool_value() ? "true" : "false";
      break;
    case v1::AnyValue::kBytesValue:
      found = faultline::v1::VALUE_TYPE_BYTES;
      text = ToBase64(value.bytes_value());
      break;
    case v1::AnyValue::kArrayValue:
    case v1::AnyValue::kKvlistValue:
      found = faultline::v1::VALUE_TYPE_JSON;
      text = json::serialize(JsonOf(value));
      break;
    case v1::AnyValue::VALUE_NOT_SET:
      break;
  }
  if (type != nullptr) *type = found;
  return text;
}

Attribute AttributeOf(const v1::KeyValue& pair) {
  Attribute attribute;
  attribute.set_name(pair.key());
  ValueType type;
  attribute.set_value(TextOf(pair.value(), &type));
  attribute.set_type(type);
  return attribute;
}

void FillAnyValue(const Attribute& attribute, v1::AnyValue* value) {
  switch (attribute.type()) {
    case faultline::v1::VALUE_TYPE_INTEGER:
      if (const auto number = ParseInt(attribute.value())) return value->set_int_value(*number);
      break;
    case faultline::v1::VALUE_TYPE_DOUBLE:
      if (const auto number = ParseDouble(attribute.value()))
        return value->set_double_value(*number);
      break;
    case faultline::v1::VALUE_TYPE_BOOLEAN:
      return value->set_bool_value(attribute.value() == "true");
    case faultline::v1::VALUE_TYPE_JSON: {
      json::error_code error;
      const json::value parsed = json::parse(attribute.value(), error);
      if (!error) return FromJson(parsed, value);
      break;
    }
    default:
      break;
  }
  value->set_string_value(attribute.value());
}

}  // namespace faultline::otlp
