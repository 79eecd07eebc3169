#include "agent/faults/http_message.h"

#include <algorithm>
#include <cctype>

#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxHeaders = 256;
constexpr size_t kMaxLineBytes = 8192;

bool SameWord(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) ==
                  std::tolower(static_cast<unsigned char>(y));
         });
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

std::unexpected<Error> NotHttp(std::string_view why) {
  return Fail(ErrorCode::kInvalidArgument, "no HTTP/1 message: {}", why);
}

Result<HttpMessageHead> ReadFirstLine(std::string_view line) {
  HttpMessageHead head;
  const size_t first = line.find(' ');
  if (first == std::string_view::npos) return NotHttp("first line");
  if (line.starts_with("HTTP/1.")) {
    head.is_response = true;
    head.version = line.substr(0, first);
    const auto code = ParseUint(line.substr(first + 1, 3));
    if (!code || *code < 100 || *code > 999) return NotHttp("status");
    head.code = static_cast<int>(*code);
    if (line.size() > first + 5) head.reason = line.substr(first + 5);
    return head;
  }
  const size_t last = line.rfind(' ');
  head.method = line.substr(0, first);
  head.version = line.substr(last + 1);
  if (last == first || !IsToken(head.method) || !head.version.starts_with("HTTP/1."))
    return NotHttp("request line");
  head.target = line.substr(first + 1, last - first - 1);
  return head;
}

}  // namespace

std::string_view HttpMessageHead::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (SameWord(key, name)) return value;
  }
  return {};
}

void HttpMessageHead::Remove(std::string_view name) {
  std::erase_if(headers, [&](const auto& header) { return SameWord(header.first, name); });
}

void HttpMessageHead::Set(std::string_view name, std::string_view value) {
  Remove(name);
  Add(name, value);
}

void HttpMessageHead::Add(std::string_view name, std::string_view value) {
  headers.emplace_back(std::string(name), std::string(value));
}

std::string_view HttpMessageHead::Path() const {
  return std::string_view(target).substr(0, target.find_first_of("?#"));
}

std::string HttpMessageHead::Text() const {
  std::string text = is_response ? fmt::format("{} {} {}\r\n", version, code, reason)
                                 : fmt::format("{} {} {}\r\n", method, target, version);
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  return text + "\r\n";
}

Result<std::optional<HttpMessageHead>> ReadHttpHead(std::string_view text, size_t& length) {
  length = 0;
  const size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (text.size() > kMaxHttpHeadBytes) return NotHttp("the head is too long");
    // Enough to see that it never will be one?
    const size_t line = text.find("\r\n");
    if (line != std::string_view::npos) FAULTLINE_TRY(ReadFirstLine(text.substr(0, line)));
    if (line == std::string_view::npos && text.size() > kMaxLineBytes) return NotHttp("first line");
    if (!text.empty() && std::isupper(static_cast<unsigned char>(text[0])) == 0)
      return NotHttp("first byte");
    return std::optional<HttpMessageHead>();
  }
  std::string_view rest = text.substr(0, end + 2);
  size_t line_end = rest.find("\r\n");
  FAULTLINE_ASSIGN(HttpMessageHead head, ReadFirstLine(rest.substr(0, line_end)));
  rest.remove_prefix(line_end + 2);
  while (!rest.empty()) {
    line_end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, line_end);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !IsToken(line.substr(0, colon)))
      return NotHttp("a header line");
    if (head.headers.size() == kMaxHeaders) return NotHttp("too many headers");
    head.Add(line.substr(0, colon), Trim(line.substr(colon + 1)));
    rest.remove_prefix(line_end + 2);
  }
  length = end + 4;
  return std::optional<HttpMessageHead>(std::move(head));
}

HttpFraming FramingOf(const HttpMessageHead& head, std::string_view request_method) {
  if (!head.Header("Upgrade").empty() && (head.code == 101 || !head.is_response)) {
    if (head.is_response) return {HttpBody::kTunnel, 0};
  }
  if (head.method == "CONNECT" || (request_method == "CONNECT" && head.code / 100 == 2))
    return {HttpBody::kTunnel, 0};
  if (head.is_response &&
      (request_method == "HEAD" || head.code / 100 == 1 || head.code == 204 || head.code == 304))
    return {};
  const std::string_view coding = head.Header("Transfer-Encoding");
  if (coding.size() >= 7 && SameWord(coding.substr(coding.size() - 7), "chunked"))
    return {HttpBody::kChunked, 0};
  if (const auto length = ParseUint(Trim(head.Header("Content-Length"))))
    return {*length == 0 ? HttpBody::kNone : HttpBody::kLength, *length};
  return {head.is_response ? HttpBody::kUntilEnd : HttpBody::kNone, 0};
}

Result<size_t> ChunkFollower::Feed(std::string_view text, std::string* body) {
  size_t at = 0;
  while (at < text.size() && state_ != State::kEnded) {
    if (state_ == State::kContents) {
      const size_t piece = std::min<uint64_t>(left_, text.size() - at);
      if (body != nullptr) body->append(text.substr(at, piece));
      at += piece;
      left_ -= piece;
      if (left_ == 0) state_ = State::kContentsEnd;
      continue;
    }
    const char c = text[at++];
    if (c != '\n') {
      line_ += c;
      if (line_.size() > kMaxLineBytes) return NotHttp("a chunk's line is too long");
      continue;
    }
    const std::string line(Trim(line_));
    line_.clear();
    if (state_ == State::kContentsEnd) {
      if (!line.empty()) return NotHttp("a chunk's end");
      state_ = State::kSize;
    } else if (state_ == State::kTrailer) {
      if (line.empty()) state_ = State::kEnded;
    } else {
      const auto size = ParseUint(Trim(std::string_view(line).substr(0, line.find(';'))), 16);
      if (!size) return NotHttp("a chunk's size");
      left_ = *size;
      state_ = left_ == 0 ? State::kTrailer : State::kContents;
    }
  }
  return at;
}

}  // namespace faultline
