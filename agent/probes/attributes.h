// Attributes of the events and spans that probes make.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "faultline/v1/record.pb.h"

namespace faultline {

// Of an Event or a Span.
template <typename Record>
void AddAttribute(Record& record, std::string_view name, std::string value) {
  auto& label = *record.add_attributes();
  label.set_name(name.data(), name.size());
  label.set_value(std::move(value));
}

// Text of a fixed field that a program filled.
template <size_t kSize>
std::string TextOf(const char (&field)[kSize]) {
  const std::string_view whole(field, kSize);
  return std::string(whole.substr(0, whole.find('\0')));
}

// Identifiers of spans, as random as OpenTelemetry wants them. Not for secrets.
class SpanIds {
 public:
  std::string Next(size_t bytes) {
    std::string id(bytes, '\0');
    for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
      const uint64_t word = random_();
      for (size_t j = i; j < bytes && j < i + sizeof word; ++j)
        id[j] = static_cast<char>(word >> (8 * (j - i)));
    }
    return id;
  }

 private:
  std::mt19937_64 random_{(uint64_t{std::random_device{}()} << 32) | std::random_device{}()};
};

}  // namespace faultline
