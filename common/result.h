// Errors are values. Every function that can fail returns Result<T>; the message says what was tried
// and on what. The API maps codes to HTTP in one table (aggregator/api/status.h). Exceptions stop at
// library borders.
#pragma once

#include <fmt/format.h>

#include <cstring>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace faultline {

enum class ErrorCode {
  kNotFound,
  kInvalidArgument,
  kPermissionDenied,
  kUnavailable,
  kTimeout,
  kResourceExhausted,
  kCorruption,
  kUnsupported,
  kInternal,
  kConflict,  // it is there already, or it changed since the caller looked
};

// snake_case name, as it appears on the wire and in the API.
std::string_view ErrorCodeName(ErrorCode code);
// The code of that name; kInternal for a name nobody knows.
ErrorCode ErrorCodeFromName(std::string_view name);
// The code that fits an errno.
ErrorCode ErrorCodeFromErrno(int error_number);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

template <typename T = void>
using Result = std::expected<T, Error>;

template <typename... Args>
std::unexpected<Error> Fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

// "<what>: <strerror>", with the code that fits.
template <typename... Args>
std::unexpected<Error> FailErrno(int error_number, fmt::format_string<Args...> format,
                                 Args&&... args) {
  return std::unexpected(Error{ErrorCodeFromErrno(error_number),
                               fmt::format(format, std::forward<Args>(args)...) + ": " +
                                   std::strerror(error_number)});
}

// Puts what the caller was doing before the message of the callee.
inline std::unexpected<Error> Within(std::string_view what, Error error) {
  error.message = fmt::format("{}: {}", what, error.message);
  return std::unexpected(std::move(error));
}

}  // namespace faultline

#define FAULTLINE_CONCAT_(a, b) a##b
#define FAULTLINE_CONCAT(a, b) FAULTLINE_CONCAT_(a, b)
// Returns the error of `expression` to the caller.
#define FAULTLINE_TRY(expression)                                       \
  do {                                                                  \
    if (auto faultline_result = (expression); !faultline_result)        \
      return std::unexpected(std::move(faultline_result).error());      \
  } while (false)
// FAULTLINE_ASSIGN(auto value, F()): value of F(), or returns its error.
#define FAULTLINE_ASSIGN(declaration, expression)                                     \
  auto FAULTLINE_CONCAT(faultline_result_, __LINE__) = (expression);                  \
  if (!FAULTLINE_CONCAT(faultline_result_, __LINE__))                                 \
    return std::unexpected(std::move(FAULTLINE_CONCAT(faultline_result_, __LINE__)).error()); \
  declaration = *std::move(FAULTLINE_CONCAT(faultline_result_, __LINE__))
