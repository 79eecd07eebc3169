#include "aggregator/query/number_text.h"

#include <charconv>
#include <cmath>
#include <string_view>

namespace faultline::promql {
namespace {

// The shortest digits that read back as the value, without point, and the exponent of the first
// digit.
struct Digits {
  char text[24];
  int count = 0;
  int exponent = 0;
  bool negative = false;
};

Digits ShortestDigits(double value) {
  Digits digits;
  char buffer[40];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  const char* at = buffer;
  if (*at == '-') {
    digits.negative = true;
    ++at;
  }
  for (; at != end && *at != 'e'; ++at) {
    if (*at != '.') digits.text[digits.count++] = *at;
  }
  if (at != end) {
    ++at;
    if (*at == '+') ++at;
    std::from_chars(at, end, digits.exponent);
  }
  return digits;
}

void AppendFixed(std::string& out, const Digits& digits) {
  if (digits.negative) out += '-';
  if (digits.exponent < 0) {
    out += "0.";
    out.append(static_cast<size_t>(-digits.exponent - 1), '0');
    out.append(digits.text, static_cast<size_t>(digits.count));
    return;
  }
  const int whole = digits.exponent + 1;
  if (whole >= digits.count) {
    out.append(digits.text, static_cast<size_t>(digits.count));
    out.append(static_cast<size_t>(whole - digits.count), '0');
    return;
  }
  out.append(digits.text, static_cast<size_t>(whole));
  out += '.';
  out.append(digits.text + whole, static_cast<size_t>(digits.count - whole));
}

// True if `value` was one of the special values, then written.
bool AppendSpecial(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else if (value == 0) {
    out += std::signbit(value) ? "-0" : "0";
  } else {
    return false;
  }
  return true;
}

void AppendInteger(std::string& out, int64_t value) {
  char buffer[24];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof(buffer), value).ptr);
}

}  // namespace

std::string GoFloatText(double value) {
  std::string out;
  if (!AppendSpecial(out, value)) AppendFixed(out, ShortestDigits(value));
  return out;
}

void AppendSampleValue(std::string& out, double value) {
  if (std::abs(value) < 9e15 && value == std::trunc(value) && value != 0) {
    AppendInteger(out, static_cast<int64_t>(value));
    return;
  }
  if (AppendSpecial(out, value)) return;
  const Digits digits = ShortestDigits(value);
  if (const double size = std::abs(value); size >= 1e-6 && size < 1e21) {
    AppendFixed(out, digits);
    return;
  }
  if (digits.negative) out += '-';
  out += digits.text[0];
  if (digits.count > 1) {
    out += '.';
    out.append(digits.text + 1, static_cast<size_t>(digits.count - 1));
  }
  out += digits.exponent < 0 ? "e-" : "e+";
  const int exponent = std::abs(digits.exponent);
  if (exponent < 10) out += '0';
  AppendInteger(out, exponent);
}

void AppendTimestamp(std::string& out, int64_t time_ms) {
  if (time_ms < 0) {
    out += '-';
    time_ms = -time_ms;
  }
  AppendInteger(out, time_ms / 1000);
  const int64_t fraction = time_ms % 1000;
  if (fraction == 0) return;
  out += '.';
  if (fraction < 100) out += '0';
  if (fraction < 10) out += '0';
  AppendInteger(out, fraction);
}

}  // namespace faultline::promql
