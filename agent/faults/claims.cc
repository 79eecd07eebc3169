#include "agent/faults/claims.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <array>
#include <cerrno>
#include <set>

#include "agent/faults/process_identity.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxControlBytes = 4096;
constexpr uint64_t kMaxHashedBytes = uint64_t{256} << 20;  // the rest is told by size and time
constexpr size_t kMaxListedBytes = 2000;

std::string Short(std::string text) {
  if (text.size() <= kMaxListedBytes) return text;
  const uint64_t hash = XXH64(text.data(), text.size(), 0);
  return fmt::format("{}… ({} bytes, {:016x})", ReplaceInvalidUtf8(text.substr(0, 200)),
                     text.size(), hash);
}

std::string ReadControl(const std::string& path, const FaultHost& host) {
  const auto text = host.host->fs.Read(path, kMaxControlBytes);
  return text ? std::string(Trim(*text)) : std::string(kAbsent);
}

uint64_t HashFile(int fd) {
  XXH64_state_t* state = XXH64_createState();
  XXH64_reset(state, 0);
  std::array<char, 65536> block{};
  uint64_t total = 0;
  while (total < kMaxHashedBytes) {
    const ssize_t n = read(fd, block.data(), block.size());
    if (n <= 0) break;
    XXH64_update(state, block.data(), static_cast<size_t>(n));
    total += static_cast<uint64_t>(n);
  }
  const uint64_t hash = XXH64_digest(state);
  XXH64_freeState(state);
  return hash;
}

std::string ReadFileClaim(const std::string& path, const FaultHost& host) {
  const std::string full = host.host->fs.Path(path);
  struct stat status{};
  if (lstat(full.c_str(), &status) != 0) return std::string(kAbsent);
  std::string text =
      fmt::format("mode {:o} owner {}:{}", status.st_mode, status.st_uid, status.st_gid);
  if (!S_ISREG(status.st_mode)) return text;
  const int fd = open(full.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return text + fmt::format(" size {} unreadable", status.st_size);
  text += fmt::format(" size {} checksum {:016x}", status.st_size, HashFile(fd));
  close(fd);
  return text;
}

std::string ReadFolder(const std::string& path, const FaultHost& host) {
  const auto names = host.host->fs.List(path);
  if (!names) return std::string(kAbsent);
  std::string text = fmt::format("{} entries:", names->size());
  for (const std::string& name : *names) text += " " + name;
  return Short(std::move(text));
}

std::string ReadMounts(const std::string& path, const FaultHost& host) {
  std::set<std::string> mounts;
  for (const char* who : {"self", "1"}) {
    const auto text = host.host->fs.Read(fmt::format("/proc/{}/mountinfo", who));
    if (!text) continue;
    std::string_view rest = *text;
    std::string_view line;
    while (NextLine(rest, line)) {
      const auto words = Split(line, ' ');
      if (words.size() < 7) continue;
      const std::string_view at = words[4];
      const bool below =
          at == path || (at.starts_with(path) && (path == "/" || at[path.size()] == '/'));
      const size_t dash = line.find(" - ");
      if (!below || dash == std::string_view::npos) continue;
      mounts.insert(fmt::format("{} on {} {}", words[3], at, line.substr(dash + 3)));
    }
  }
  std::string text = fmt::format("{} mounts", mounts.size());
  for (const std::string& mount : mounts) text += "; " + mount;
  return Short(std::move(text));
}

Result<int> ResourceOf(std::string_view name) {
  if (name == "nofile") return RLIMIT_NOFILE;
  if (name == "nproc") return RLIMIT_NPROC;
  if (name == "fsize") return RLIMIT_FSIZE;
  if (name == "as") return RLIMIT_AS;
  return Fail(ErrorCode::kInvalidArgument, "claim: no limit is called {}", name);
}

Result<ProcessIdentity> IdentityOf(std::string_view pid, std::string_view start,
                                   const FaultHost& host) {
  return ProcessIdentity::Parse(fmt::format("{}:{}:{}", pid, start, host.host->boot_id));
}

Result<std::string> ReadLimit(std::string_view rest, const FaultHost& host) {
  const auto parts = Split(rest, ':');
  if (parts.size() != 3) return Fail(ErrorCode::kInvalidArgument, "claim: limit:{}", rest);
  FAULTLINE_ASSIGN(const int resource, ResourceOf(parts[0]));
  FAULTLINE_ASSIGN(const ProcessIdentity process, IdentityOf(parts[1], parts[2], host));
  if (!ReadIfSame(*host.host, process)) return std::string(kAbsent);
  struct rlimit limit{};
  if (prlimit(static_cast<pid_t>(process.pid), static_cast<__rlimit_resource>(resource), nullptr,
              &limit) != 0)
    return std::string(kAbsent);
  return fmt::format("{} {}", limit.rlim_cur, limit.rlim_max);
}

Result<std::string> ReadProcess(std::string_view rest, const FaultHost& host) {
  const auto parts = Split(rest, ':');
  if (parts.size() != 2) return Fail(ErrorCode::kInvalidArgument, "claim: process:{}", rest);
  FAULTLINE_ASSIGN(const ProcessIdentity process, IdentityOf(parts[0], parts[1], host));
  const auto stat = ReadIfSame(*host.host, process);
  if (!stat) return std::string(kAbsent);
  return std::string(stat->state == 'T' || stat->state == 't' ? "stopped" : "lives");
}

}  // namespace

Result<std::string> ReadClaim(const std::string& claim, const FaultHost& host) {
  const size_t colon = claim.find(':');
  const std::string kind = claim.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : claim.substr(colon + 1);
  if (kind == "control") return ReadControl(rest, host);
  if (kind == "file") return ReadFileClaim(rest, host);
  if (kind == "folder") return ReadFolder(rest, host);
  if (kind == "mounts") return ReadMounts(rest, host);
  if (kind == "limit") return ReadLimit(rest, host);
  if (kind == "process") return ReadProcess(rest, host);
  const size_t second = rest.find(':');
  const std::string device = second == std::string::npos ? "" : rest.substr(second + 1);
  return ReadNetworkClaim(kind, rest.substr(0, second), device);
}

Result<void> FillClaims(FaultPlan& plan, const FaultHost& host) {
  for (auto& [claim, before] : plan.claims) {
    const auto others = host.OthersWith(claim);
    if (!others.empty()) {
      before = others.front()->claims.at(claim);
      continue;
    }
    FAULTLINE_ASSIGN(before, ReadClaim(claim, host));
  }
  return {};
}

std::vector<std::string> CompareClaims(const FaultPlan& plan, const FaultHost& host) {
  std::vector<std::string> differing;
  for (const auto& [claim, before] : plan.claims) {
    if (!host.OthersWith(claim).empty()) continue;
    const auto now = ReadClaim(claim, host);
    if (!now) {
      differing.push_back(fmt::format("{} cannot be read: {}", claim, now.error().message));
    } else if (*now != before && (*now != kAbsent || claim.starts_with("file:"))) {
      differing.push_back(fmt::format("{} was '{}', is '{}'", claim, before, *now));
    }
  }
  return differing;
}

}  // namespace faultline
