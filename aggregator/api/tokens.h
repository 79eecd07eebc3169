// Who may do what over HTTP: a file of bearer tokens. One line each: TOKEN ROLE PRINCIPAL, where TOKEN is the
// token itself or sha256:<hex of its SHA-256> and ROLE is viewer, operator or admin; # starts a comment. The file
// must not be readable by others. Comparison looks at every entry and takes the same time whichever fits.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/api/routes/route.h"
#include "common/result.h"

namespace faultline {

struct Identity {
  std::string principal;
  Role role = Role::kViewer;
};

class TokenTable {
 public:
  // The error names `origin` and line, never a token.
  static Result<TokenTable> Parse(std::string_view text, std::string_view origin);
  static Result<TokenTable> ReadFile(const std::string& path);

  std::optional<Identity> Find(std::string_view token) const;
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Identity identity;
    std::array<unsigned char, 32> digest{};
  };
  std::vector<Entry> entries_;
};

// A token file that is read again when it changes (looked at once a second at most). A broken new version is logged
// and the old one kept. Thread-safe.
class TokenFile {
 public:
  static Result<std::unique_ptr<TokenFile>> Open(std::string path);
  std::optional<Identity> Find(std::string_view token, int64_t steady_ns);

 private:
  explicit TokenFile(std::string path) : path_(std::move(path)) {}
  void Refresh(int64_t steady_ns);

  const std::string path_;
  std::mutex mutex_;
  std::shared_ptr<const TokenTable> table_;
  int64_t checked_steady_ns_ = 0;
  int64_t modified_unix_ns_ = 0;
};

std::string_view RoleName(Role role);

}  // namespace faultline
