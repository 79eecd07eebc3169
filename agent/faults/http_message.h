// Just enough of HTTP/1.1 to recognise a message, change it and pass it on: the head is parsed, the
// body is measured (length, chunks, until the end). Bytes of strangers: every size is bounded, and
// what is not plain HTTP/1 is told apart so that it can be passed through untouched.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"

namespace faultline {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpMessageHead {
  bool is_response = false;
  std::string method;   // of a request
  std::string target;   // of a request: path and query
  std::string version;  // HTTP/1.1
  int code = 0;         // of a response
  std::string reason;
  HttpHeaders headers;

  std::string_view Header(std::string_view name) const;  // the first; empty when there is none
  void Remove(std::string_view name);
  void Set(std::string_view name, std::string_view value);
  void Add(std::string_view name, std::string_view value);
  std::string_view Path() const;
  std::string Text() const;  // with the empty line
};

constexpr size_t kMaxHttpHeadBytes = 65536;

// The head at the front of `text`, up to and with its empty line. nullopt: more is needed.
// kInvalidArgument: this is no HTTP/1 message. `length` is set to how much of the text it is.
Result<std::optional<HttpMessageHead>> ReadHttpHead(std::string_view text, size_t& length);

enum class HttpBody { kNone, kLength, kChunked, kUntilEnd, kTunnel };
struct HttpFraming {
  HttpBody kind = HttpBody::kNone;
  uint64_t length = 0;
};
// How long the body is; of a response to `request_method`.
HttpFraming FramingOf(const HttpMessageHead& head, std::string_view request_method = "");

// Follows a chunked body: how many of the bytes belong to it, and whether it has ended.
class ChunkFollower {
 public:
  // kInvalidArgument when these are no chunks. `body` (may be null) gets the contents.
  Result<size_t> Feed(std::string_view text, std::string* body);
  bool ended() const { return state_ == State::kEnded; }

 private:
  enum class State { kSize, kContents, kContentsEnd, kTrailer, kEnded };
  State state_ = State::kSize;
  std::string line_;
  uint64_t left_ = 0;
};

}  // namespace faultline
