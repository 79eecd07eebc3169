// A walk over the fields of one protobuf message, without building objects. Never leaves its input;
// after the first malformed field Next is false and failed() true.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace faultline::routes {

class WireReader {
 public:
  explicit WireReader(std::string_view message) : at_(message.data()), end_(at_ + message.size()) {}

  bool Next() {
    if (at_ == end_) return false;
    begin_ = at_;
    const uint64_t tag = Varint();
    field_ = tag >> 3;
    type_ = static_cast<unsigned>(tag & 7);
    switch (type_) {
      case kVarint:
        number_ = Varint();
        break;
      case kFixed64:
        ReadFixed(8);
        break;
      case kBytes: {
        const uint64_t size = Varint();
        if (size > static_cast<uint64_t>(end_ - at_)) return Fail();
        bytes_ = {at_, static_cast<size_t>(size)};
        at_ += size;
        break;
      }
      case kFixed32:
        ReadFixed(4);
        break;
      default:
        return Fail();  // groups are of proto2 only
    }
    return field_ == 0 ? Fail() : !failed_;
  }
  uint64_t field() const { return field_; }
  bool is_varint() const { return type_ == kVarint; }
  bool is_fixed64() const { return type_ == kFixed64; }
  bool is_bytes() const { return type_ == kBytes; }
  uint64_t number() const { return number_; }
  std::string_view bytes() const { return bytes_; }
  // The field with its tag.
  std::string_view whole_field() const { return {begin_, static_cast<size_t>(at_ - begin_)}; }
  bool failed() const { return failed_; }

 private:
  static constexpr unsigned kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;

  bool Fail() {
    failed_ = true;
    at_ = end_;
    return false;
  }
  uint64_t Varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && at_ != end_; shift += 7) {
      const auto byte = static_cast<uint8_t>(*at_++);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    Fail();
    return 0;
  }
  void ReadFixed(size_t size) {
    if (static_cast<size_t>(end_ - at_) < size) {
      Fail();
      return;
    }
    number_ = 0;
    std::memcpy(&number_, at_, size);
    at_ += size;
  }

  const char* at_;
  const char* end_;
  const char* begin_ = nullptr;
  uint64_t field_ = 0;
  unsigned type_ = 0;
  uint64_t number_ = 0;
  std::string_view bytes_;
  bool failed_ = false;
};

}  // namespace faultline::routes
