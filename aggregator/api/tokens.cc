#include "aggregator/api/tokens.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxTokens = 10'000;
constexpr size_t kMinTokenBytes = 16;
constexpr size_t kMaxFileBytes = size_t{4} << 20;
constexpr std::string_view kDigestPrefix = "sha256:";

using Digest = std::array<unsigned char, 32>;

Digest DigestOf(std::string_view text) {
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

std::optional<Digest> ParseDigest(std::string_view hex) {
  Digest digest{};
  if (hex.size() != digest.size() * 2) return std::nullopt;
  for (size_t i = 0; i < digest.size(); ++i) {
    const auto byte = ParseUint(hex.substr(2 * i, 2), 16);
    if (!byte) return std::nullopt;
    digest[i] = static_cast<unsigned char>(*byte);
  }
  return digest;
}

std::optional<Role> ParseRole(std::string_view name) {
  for (const Role role : {Role::kViewer, Role::kOperator, Role::kAdmin}) {
    if (RoleName(role) == name) return role;
  }
  return std::nullopt;
}

}  // namespace

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kAnyone: return "anyone";
    case Role::kViewer: return "viewer";
    case Role::kOperator: return "operator";
    case Role::kAdmin: return "admin";
  }
  return "anyone";
}

Result<TokenTable> TokenTable::Parse(std::string_view text, std::string_view origin) {
  TokenTable table;
  std::string_view line;
  for (int number = 1; NextLine(text, line); ++number) {
    line = Trim(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const auto refuse = [&](std::string_view reason) {
      return Fail(ErrorCode::kInvalidArgument, "{}:{}: {}", origin, number, reason);
    };
    const std::string_view token = NextWord(line);
    const std::string_view role_name = NextWord(line);
    const std::string_view principal = NextWord(line);
    if (principal.empty() || !Trim(line).empty()) return refuse("expected TOKEN ROLE PRINCIPAL");
    const auto role = ParseRole(role_name);
    if (!role) return refuse("role must be viewer, operator or admin");
    Entry entry{{std::string(principal), *role}, {}};
    if (token.starts_with(kDigestPrefix)) {
      const auto digest = ParseDigest(token.substr(kDigestPrefix.size()));
      if (!digest) return refuse("sha256: needs 64 hexadecimal digits");
      entry.digest = *digest;
    } else {
      if (token.size() < kMinTokenBytes) return refuse("token is shorter than 16 characters");
      entry.digest = DigestOf(token);
    }
    for (const Entry& other : table.entries_) {
      if (other.digest == entry.digest) return refuse("token is already in this file");
    }
    if (table.entries_.size() >= kMaxTokens) return refuse("more than 10000 tokens");
    table.entries_.push_back(std::move(entry));
  }
  return table;
}

Result<TokenTable> TokenTable::ReadFile(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return FailErrno(errno, "token file {}", path);
  if (!S_ISREG(status.st_mode)) {
    return Fail(ErrorCode::kInvalidArgument, "token file {}: not a plain file", path);
  }
  if ((status.st_mode & S_IROTH) != 0) {
    return Fail(ErrorCode::kPermissionDenied, "token file {}: readable by others; chmod 600 it", path);
  }
  if (static_cast<size_t>(status.st_size) > kMaxFileBytes) {
    return Fail(ErrorCode::kResourceExhausted, "token file {}: longer than 4 MiB", path);
  }
  std::ifstream file(path);
  if (!file) return FailErrno(errno, "token file {}", path);
  std::ostringstream text;
  text << file.rdbuf();
  FAULTLINE_ASSIGN(TokenTable table, Parse(text.str(), path));
  if (table.size() == 0) {
    return Fail(ErrorCode::kInvalidArgument, "token file {}: has no token", path);
  }
  return table;
}

std::optional<Identity> TokenTable::Find(std::string_view token) const {
  const Digest digest = DigestOf(token);
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    if (CRYPTO_memcmp(entry.digest.data(), digest.data(), digest.size()) == 0) found = &entry;
  }
  if (found == nullptr) return std::nullopt;
  return found->identity;
}

namespace {

int64_t ModifiedUnixNs(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return 0;
  return status.st_mtim.tv_sec * kNsPerSecond + status.st_mtim.tv_nsec;
}

}  // namespace

Result<std::unique_ptr<TokenFile>> TokenFile::Open(std::string path) {
  std::unique_ptr<TokenFile> file(new TokenFile(std::move(path)));
  file->modified_unix_ns_ = ModifiedUnixNs(file->path_);
  FAULTLINE_ASSIGN(TokenTable table, TokenTable::ReadFile(file->path_));
  file->table_ = std::make_shared<const TokenTable>(std::move(table));
  return file;
}

std::optional<Identity> TokenFile::Find(std::string_view token, int64_t steady_ns) {
  std::shared_ptr<const TokenTable> table;
  {
    std::lock_guard lock(mutex_);
    Refresh(steady_ns);
    table = table_;
  }
  return table->Find(token);
}

void TokenFile::Refresh(int64_t steady_ns) {
  if (steady_ns - checked_steady_ns_ < kNsPerSecond) return;
  checked_steady_ns_ = steady_ns;
  const int64_t modified = ModifiedUnixNs(path_);
  if (modified == modified_unix_ns_) return;
  modified_unix_ns_ = modified;
  auto table = TokenTable::ReadFile(path_);
  if (!table) {
    spdlog::warn("keeping the old tokens: {}", table.error().message);
    return;
  }
  table_ = std::make_shared<const TokenTable>(std::move(*table));
  spdlog::info("token file {} read again: {} tokens", path_, table_->size());
}

}  // namespace faultline
