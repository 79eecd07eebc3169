// OTLP's AnyValue as text with its type, and back: stored spans and logs keep texts.
#pragma once

#include <string>

#include "faultline/v1/otlp.pb.h"
#include "faultline/v1/record.pb.h"

namespace faultline::otlp {

// Text as it is, numbers and booleans in decimal, lists and maps as JSON, bytes in base64.
std::string TextOf(const v1::AnyValue& value, faultline::v1::ValueType* type = nullptr);
faultline::v1::Attribute AttributeOf(const v1::KeyValue& pair);
void FillAnyValue(const faultline::v1::Attribute& attribute, v1::AnyValue* value);

}  // namespace faultline::otlp
