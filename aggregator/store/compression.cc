#include "aggregator/store/compression.h"

#define ZSTD_STATIC_LINKING_ONLY  // for frames without a magic number
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "aggregator/store/bytes.h"
#include "common/assert.h"

namespace faultline::store {
namespace {

constexpr size_t kMinBytes = 64;
constexpr int kColumnLevel = 3;

template <auto Free>
struct Freer {
  void operator()(auto* context) const { Free(context); }
};

}  // namespace

void CompressTo(std::string_view text, int level, std::string& out) {
  static thread_local const std::unique_ptr<ZSTD_CCtx, Freer<ZSTD_freeCCtx>> context(
      ZSTD_createCCtx());
  const size_t start = out.size();
  if (text.size() >= kMinBytes) {
    PutVarint(out, text.size());
    const size_t header = out.size();
    out.resize(header + ZSTD_compressBound(text.size()));
    const size_t size = ZSTD_compressCCtx(context.get(), out.data() + header, out.size() - header,
                                          text.data(), text.size(), level);
    FAULTLINE_ASSERT(!ZSTD_isError(size), "the bound is enough room");
    if (size < text.size()) {
      out.resize(header + size);
      return;
    }
    out.resize(start);
  }
  PutVarint(out, 0);
  out.append(text);
}

Result<std::string> Uncompress(std::string_view bytes, size_t max_bytes) {
  static thread_local const std::unique_ptr<ZSTD_DCtx, Freer<ZSTD_freeDCtx>> context(
      ZSTD_createDCtx());
  ByteReader in(bytes);
  const uint64_t size = in.Varint();
  if (in.failed()) return Fail(ErrorCode::kCorruption, "compressed value without a size");
  const std::string_view rest = in.Bytes(in.left());
  if (size > max_bytes || rest.size() > max_bytes) {
    return Fail(ErrorCode::kResourceExhausted, "compressed value of {} bytes, limit {}", size,
                max_bytes);
  }
  if (size == 0) return std::string(rest);
  // The frame knows its size too; a lying header must not make us allocate.
  if (ZSTD_getFrameContentSize(rest.data(), rest.size()) != size) {
    return Fail(ErrorCode::kCorruption, "compressed value: frame and header disagree on the size");
  }
  std::string text;
  text.resize(size);
  const size_t got =
      ZSTD_decompressDCtx(context.get(), text.data(), text.size(), rest.data(), rest.size());
  if (ZSTD_isError(got) || got != size) {
    return Fail(ErrorCode::kCorruption, "compressed value: {}",
                ZSTD_isError(got) ? ZSTD_getErrorName(got) : "short frame");
  }
  return text;
}

void PackColumn(std::string_view column, std::string& out) {
  static thread_local const std::unique_ptr<ZSTD_CCtx, Freer<ZSTD_freeCCtx>> context = [] {
    std::unique_ptr<ZSTD_CCtx, Freer<ZSTD_freeCCtx>> made(ZSTD_createCCtx());
    ZSTD_CCtx_setParameter(made.get(), ZSTD_c_format, ZSTD_f_zstd1_magicless);
    ZSTD_CCtx_setParameter(made.get(), ZSTD_c_contentSizeFlag, 0);
    ZSTD_CCtx_setParameter(made.get(), ZSTD_c_compressionLevel, kColumnLevel);
    return made;
  }();
  static thread_local std::string code;
  code.resize(ZSTD_compressBound(column.size()));
  const size_t size =
      ZSTD_compress2(context.get(), code.data(), code.size(), column.data(), column.size());
  if (!ZSTD_isError(size) && size < column.size()) {
    PutVarint(out, size);
    out.append(code.data(), size);
    return;
  }
  PutVarint(out, 0);
  out += column;
}

bool UnpackColumn(ByteReader& in, std::span<char> column) {
  static thread_local const std::unique_ptr<ZSTD_DCtx, Freer<ZSTD_freeDCtx>> context = [] {
    std::unique_ptr<ZSTD_DCtx, Freer<ZSTD_freeDCtx>> made(ZSTD_createDCtx());
    ZSTD_DCtx_setParameter(made.get(), ZSTD_d_format, ZSTD_f_zstd1_magicless);
    return made;
  }();
  const uint64_t size = in.Varint();
  const std::string_view bytes = in.Bytes(size == 0 ? column.size() : size);
  if (in.failed()) return false;
  if (size == 0) {
    std::copy(bytes.begin(), bytes.end(), column.begin());
    return true;
  }
  return ZSTD_decompressDCtx(context.get(), column.data(), column.size(), bytes.data(),
                             bytes.size()) == column.size();
}

}  // namespace faultline::store
