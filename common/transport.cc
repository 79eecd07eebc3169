#include "common/transport.h"

#include <zstd.h>

#include <memory>

#include "common/assert.h"

namespace faultline {
namespace {

constexpr size_t kHeaderBytes = 4;
constexpr char kMagic[2] = {'F', 'L'};

}  // namespace

std::string EncodeFrame(const WireMessage& message) {
  std::string frame;
  frame.reserve(kHeaderBytes + message.payload.size());
  frame.append(kMagic, sizeof kMagic);
  frame.push_back(static_cast<char>(kProtocolVersion));
  frame.push_back(static_cast<char>(message.kind));
  frame += message.payload;
  return frame;
}

Result<WireMessage> DecodeFrame(std::string_view frame) {
  if (frame.size() < kHeaderBytes || frame[0] != kMagic[0] || frame[1] != kMagic[1]) {
    return Fail(ErrorCode::kCorruption, "frame of {} bytes does not start with FL", frame.size());
  }
  const auto version = static_cast<uint8_t>(frame[2]);
  if (version != kProtocolVersion) {
    return Fail(ErrorCode::kUnsupported, "protocol version {} is not spoken here, only {}", version,
                kProtocolVersion);
  }
  const auto kind = static_cast<uint8_t>(frame[3]);
  if (kind < static_cast<uint8_t>(MessageKind::kHello) ||
      kind > static_cast<uint8_t>(MessageKind::kDefinitions)) {
    return Fail(ErrorCode::kCorruption, "message kind {} does not exist", kind);
  }
  return WireMessage{static_cast<MessageKind>(kind), std::string(frame.substr(kHeaderBytes))};
}

std::string Compress(std::string_view text, int level) {
  // A context per thread: making one costs more than compressing a small batch.
  thread_local const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(),
                                                                               ZSTD_freeCCtx);
  std::string compressed(ZSTD_compressBound(text.size()), '\0');
  const size_t size = ZSTD_compressCCtx(context.get(), compressed.data(), compressed.size(),
                                        text.data(), text.size(), level);
  FAULTLINE_ASSERT(!ZSTD_isError(size), "zstd compression cannot fail with a bound-sized buffer");
  compressed.resize(size);
  return compressed;
}

Result<std::string> Decompress(std::string_view compressed, size_t max_bytes) {
  const unsigned long long size = ZSTD_getFrameContentSize(compressed.data(), compressed.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) {
    return Fail(ErrorCode::kCorruption, "not a zstd frame that states its size ({} bytes)",
                compressed.size());
  }
  if (size > max_bytes) {
    return Fail(ErrorCode::kResourceExhausted, "decompresses to {} bytes, the limit is {}", size,
                max_bytes);
  }
  thread_local const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                               ZSTD_freeDCtx);
  std::string text(size, '\0');
  const size_t written = ZSTD_decompressDCtx(context.get(), text.data(), text.size(),
                                             compressed.data(), compressed.size());
  if (ZSTD_isError(written)) {
    return Fail(ErrorCode::kCorruption, "zstd: {}", ZSTD_getErrorName(written));
  }
  text.resize(written);
  return text;
}

}  // namespace faultline
