#include "agent/faults/fault_journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <thread>

#include "common/host_view.h"

namespace faultline {
namespace {

constexpr std::string_view kMagic = "FLFJ1\n";
constexpr std::string_view kSuffix = ".fault";
constexpr std::string_view kTemporaryPrefix = ".new-";
constexpr std::string_view kLocksFile = ".locks";
constexpr size_t kMaxEntryBytes = size_t{1} << 20;
constexpr size_t kHeaderBytes = kMagic.size() + 4 + 8;
constexpr off_t kOwnerOffset = 0;
// A child that a killed agent had just forked holds what it inherited until it has closed it.
constexpr int64_t kOwnerWaitMs = 1000;

void PutLittleEndian(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

uint64_t GetLittleEndian(std::string_view text, size_t offset, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) {
    value |= uint64_t{static_cast<unsigned char>(text[offset + static_cast<size_t>(i)])} << (8 * i);
  }
  return value;
}

Result<void> WriteAll(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno(errno, "write {}", path);
    text.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<void> SyncFolder(const std::string& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FailErrno(errno, "open folder {}", folder);
  const int failed = fsync(fd);
  const int error_number = errno;
  close(fd);
  if (failed != 0) return FailErrno(error_number, "fsync folder {}", folder);
  return {};
}

Result<void> MakeFolder(const std::string& folder) {
  for (size_t slash = folder.find('/', 1); slash != std::string::npos;
       slash = folder.find('/', slash + 1)) {
    if (mkdir(folder.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST) {
      return FailErrno(errno, "make folder {}", folder.substr(0, slash));
    }
  }
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return FailErrno(errno, "make folder {}", folder);
  return {};
}

// Tries to take one byte of the locks file: open-file-description locks vanish with their holder
// and need no file of their own, so nothing is left to clean up.
Result<JournalLock> TakeLock(const std::string& path, off_t offset, int64_t timeout_ms) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return FailErrno(errno, "open {}", path);
  JournalLock lock(fd);
  struct flock range{};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = offset;
  range.l_len = 1;
  for (int64_t waited_ms = 0;; waited_ms += 10) {
    if (fcntl(fd, F_OFD_SETLK, &range) == 0) return lock;
    if (errno != EAGAIN && errno != EACCES && errno != EINTR)
      return FailErrno(errno, "lock {}", path);
    if (waited_ms >= timeout_ms)
      return Fail(ErrorCode::kTimeout, "{}: another process holds the lock", path);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace

bool IsFaultUid(std::string_view uid) {
  if (uid.empty() || uid.size() > 128 || uid.front() == '.') return false;
  return std::all_of(uid.begin(), uid.end(), [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-');
  });
}

std::string EncodeJournalEntry(const v1::FaultJournalEntry& entry) {
  const std::string body = entry.SerializeAsString();
  std::string text(kMagic);
  PutLittleEndian(text, body.size(), 4);
  PutLittleEndian(text, XXH64(body.data(), body.size(), 0), 8);
  return text + body;
}

Result<v1::FaultJournalEntry> DecodeJournalEntry(std::string_view text) {
  if (text.size() < kHeaderBytes) {
    return Fail(ErrorCode::kCorruption, "journal entry of {} bytes is too short", text.size());
  }
  if (!text.starts_with(kMagic))
    return Fail(ErrorCode::kCorruption, "no journal entry of this version");
  const uint64_t size = GetLittleEndian(text, kMagic.size(), 4);
  const std::string_view body = text.substr(kHeaderBytes);
  if (body.size() != size) {
    return Fail(ErrorCode::kCorruption, "journal entry has {} bytes instead of {}", body.size(),
                size);
  }
  if (XXH64(body.data(), body.size(), 0) != GetLittleEndian(text, kMagic.size() + 4, 8)) {
    return Fail(ErrorCode::kCorruption, "journal entry's checksum is wrong");
  }
  v1::FaultJournalEntry entry;
  if (!entry.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return Fail(ErrorCode::kCorruption, "journal entry cannot be parsed");
  }
  if (!IsFaultUid(entry.fault_uid()))
    return Fail(ErrorCode::kCorruption, "journal entry has a bad uid");
  if (entry.phase() < v1::FAULT_JOURNAL_PHASE_PLANNED ||
      entry.phase() > v1::FAULT_JOURNAL_PHASE_DONE) {
    return Fail(ErrorCode::kCorruption, "journal entry has no phase");
  }
  return entry;
}

JournalLock& JournalLock::operator=(JournalLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

JournalLock::~JournalLock() {
  if (fd_ >= 0) close(fd_);
}

Result<FaultJournal> FaultJournal::Open(std::string folder) {
  FAULTLINE_TRY(MakeFolder(folder));
  return FaultJournal(std::move(folder));
}

Result<void> FaultJournal::Save(const v1::FaultJournalEntry& entry) const {
  if (!IsFaultUid(entry.fault_uid())) return Fail(ErrorCode::kInvalidArgument, "bad fault uid");
  const std::string text = EncodeJournalEntry(entry);
  if (text.size() > kMaxEntryBytes) {
    return Fail(ErrorCode::kResourceExhausted, "journal entry of {} bytes, limit {}", text.size(),
                kMaxEntryBytes);
  }
  // A promise that cannot be read back is none.
  if (const auto read = DecodeJournalEntry(text); !read)
    return Within("journal entry", read.error());
  const std::string path = fmt::format("{}/{}{}", folder_, entry.fault_uid(), kSuffix);
  const std::string temporary =
      fmt::format("{}/{}{}-{}", folder_, kTemporaryPrefix, entry.fault_uid(), getpid());
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return FailErrno(errno, "open {}", temporary);
  Result<void> written = WriteAll(fd, text, temporary);
  if (written && fsync(fd) != 0) written = FailErrno(errno, "fsync {}", temporary);
  close(fd);
  if (written && rename(temporary.c_str(), path.c_str()) != 0)
    written = FailErrno(errno, "rename to {}", path);
  if (!written) {
    unlink(temporary.c_str());
    return written;
  }
  return SyncFolder(folder_);
}

Result<v1::FaultJournalEntry> FaultJournal::Load(std::string_view uid) const {
  if (!IsFaultUid(uid)) return Fail(ErrorCode::kInvalidArgument, "bad fault uid");
  FAULTLINE_ASSIGN(const std::string text,
                   FsRoot(folder_).Read(fmt::format("{}{}", uid, kSuffix), kMaxEntryBytes));
  FAULTLINE_ASSIGN(v1::FaultJournalEntry entry, DecodeJournalEntry(text));
  if (entry.fault_uid() != uid)
    return Fail(ErrorCode::kCorruption, "journal file {} is about another fault", uid);
  return entry;
}

Result<FaultJournal::Contents> FaultJournal::LoadAll() const {
  FAULTLINE_ASSIGN(const std::vector<std::string> names, FsRoot(folder_).List("/"));
  Contents contents;
  for (const std::string& name : names) {
    if (name.starts_with(".") || !name.ends_with(kSuffix)) continue;
    auto entry = Load(std::string_view(name).substr(0, name.size() - kSuffix.size()));
    if (entry) {
      contents.entries.push_back(*std::move(entry));
    } else if (entry.error().code != ErrorCode::kNotFound) {
      contents.unreadable.push_back(fmt::format("{}: {}", name, entry.error().message));
    }
  }
  return contents;
}

void FaultJournal::SetAsideUnreadable() const {
  const auto names = FsRoot(folder_).List("/");
  if (!names) return;
  for (const std::string& name : *names) {
    const std::string path = folder_ + "/" + name;
    if (name.starts_with(kTemporaryPrefix)) unlink(path.c_str());
    if (name.starts_with(".") || !name.ends_with(kSuffix)) continue;
    const auto entry = Load(std::string_view(name).substr(0, name.size() - kSuffix.size()));
    if (!entry && entry.error().code != ErrorCode::kNotFound)
      rename(path.c_str(), (path + ".corrupt").c_str());
  }
}

Result<void> FaultJournal::Remove(std::string_view uid) const {
  if (!IsFaultUid(uid)) return Fail(ErrorCode::kInvalidArgument, "bad fault uid");
  const std::string path = fmt::format("{}/{}{}", folder_, uid, kSuffix);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return FailErrno(errno, "remove {}", path);
  return SyncFolder(folder_);
}

Result<JournalLock> FaultJournal::Lock(std::string_view uid, int64_t timeout_ms) const {
  // Two faults that share a byte only wait for each other.
  const uint64_t hash = XXH64(uid.data(), uid.size(), 0);
  return TakeLock(fmt::format("{}/{}", folder_, kLocksFile),
                  static_cast<off_t>(16 + (hash >> 8) % (1u << 30)), timeout_ms);
}

bool FaultJournal::Halted() const { return access((folder_ + "/halt").c_str(), F_OK) == 0; }

Result<JournalLock> FaultJournal::LockOwner() const {
  auto lock = TakeLock(fmt::format("{}/{}", folder_, kLocksFile), kOwnerOffset, kOwnerWaitMs);
  if (!lock && lock.error().code == ErrorCode::kTimeout) {
    return Fail(ErrorCode::kUnavailable, "{} is in use by another agent", folder_);
  }
  return lock;
}

}  // namespace faultline
