#include "common/gzip.h"

#include <zlib.h>

#include <algorithm>

#include "common/assert.h"

namespace faultline {
namespace {

constexpr int kGzipWindowBits = 15 + 16;
constexpr size_t kStepBytes = size_t{64} << 10;

Bytef* Input(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

}  // namespace

Result<std::string> Gunzip(std::string_view compressed, size_t max_bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindowBits) != Z_OK) {
    return Fail(ErrorCode::kResourceExhausted, "gzip: no memory for a decoder");
  }
  stream.next_in = Input(compressed);
  stream.avail_in = static_cast<uInt>(compressed.size());
  std::string text;
  int state = Z_OK;
  while (state == Z_OK) {
    const size_t begin = text.size();
    const size_t step = std::min(kStepBytes, max_bytes + 1 - begin);
    if (step == 0) break;
    text.resize(begin + step);
    stream.next_out = reinterpret_cast<Bytef*>(text.data() + begin);
    stream.avail_out = static_cast<uInt>(step);
    state = inflate(&stream, Z_NO_FLUSH);
    text.resize(begin + step - stream.avail_out);
    // Several gzip members in a row are one text (RFC 1952).
    if (state == Z_STREAM_END && stream.avail_in > 0) state = inflateReset(&stream);
  }
  inflateEnd(&stream);
  if (text.size() > max_bytes) {
    return Fail(ErrorCode::kResourceExhausted, "gzip: body is longer than {} bytes", max_bytes);
  }
  if (state != Z_STREAM_END) {
    return Fail(ErrorCode::kInvalidArgument, "gzip: body is cut short or is not gzip");
  }
  return text;
}

std::string Gzip(std::string_view text) {
  z_stream stream{};
  const int started =
      deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindowBits, 8, Z_DEFAULT_STRATEGY);
  FAULTLINE_ASSERT(started == Z_OK, "zlib encoder");
  std::string compressed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = Input(text);
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
  stream.avail_out = static_cast<uInt>(compressed.size());
  const int state = deflate(&stream, Z_FINISH);
  FAULTLINE_ASSERT(state == Z_STREAM_END, "deflateBound is a bound");
  compressed.resize(stream.total_out);
  deflateEnd(&stream);
  return compressed;
}

}  // namespace faultline
