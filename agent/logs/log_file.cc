// A slice: look at the size, read the bytes before the position again together with what follows,
// see whether they are still what we took (else the file was truncated and has regrown), cut what
// follows into lines, feed the parser. What is not a whole line stays in the file and is read again
// when there is more of it; so an idle file costs no buffer.
#include "agent/logs/log_file.h"

#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/clock.h"

namespace faultline {
namespace {

constexpr uint32_t kMaxGenerations = 1000;

uint64_t GenerationId(const FileKey& key, uint64_t fingerprint, uint32_t number) {
  const uint64_t parts[] = {key.device, key.inode, fingerprint, number};
  const uint64_t id = XXH3_64bits(parts, sizeof parts);
  return id == 0 ? 1 : id;  // 0 says: no file
}

ssize_t ReadFileAt(int fd, char* into, size_t bytes, uint64_t offset) {
  ssize_t n = 0;
  do {
    n = pread(fd, into, bytes, static_cast<off_t>(offset));
  } while (n < 0 && errno == EINTR);
  return n;
}

}  // namespace

LogFingerprint LogFingerprint::Of(std::string_view head) {
  const size_t newline = head.find('\n');
  if (newline == std::string_view::npos && head.size() < kMaxFingerprintBytes) return {};
  const size_t bytes = newline == std::string_view::npos ? kMaxFingerprintBytes : newline + 1;
  return {.hash = XXH3_64bits(head.data(), bytes), .bytes = bytes};
}

LogGeneration FindGeneration(const FileKey& key, const LogFingerprint& fingerprint, uint64_t size,
                             const CommittedPosition& committed) {
  LogGeneration found{.file_id = GenerationId(key, fingerprint.hash, 0)};
  for (uint32_t number = 0; number < kMaxGenerations; ++number) {
    const uint64_t id = GenerationId(key, fingerprint.hash, number);
    const auto position = committed ? committed(id) : std::nullopt;
    if (!position) break;
    found = {.file_id = id, .number = number, .position = *position, .known = true};
  }
  // Shorter than what was read: truncated while nobody looked, and begun with the same first line.
  if (found.known && found.position > size) {
    return {.file_id = GenerationId(key, fingerprint.hash, found.number + 1),
            .number = found.number + 1};
  }
  return found;
}

LogFile::LogFile(OpenedLog opened, Options options, CommittedPosition committed)
    : fd_(std::move(opened.fd)),
      archive_(options.compressed ? std::make_unique<GzipReader>(fd_.get()) : nullptr),
      key_(opened.key),
      identity_(options.identity.value_or(opened.key)),
      options_(std::move(options)),
      committed_(std::move(committed)),
      size_(archive_ ? archive_->size() : opened.size),
      declared_size_(size_) {
  streams_[1].name = ParsedLine::kStdout;
  streams_[2].name = ParsedLine::kStderr;
  if (options_.treatment != nullptr && options_.treatment->join) {
    for (Stream& stream : streams_) {
      stream.joiner =
          std::make_unique<LineJoiner>(options_.treatment->join, options_.max_line_bytes);
    }
  }
  Identify();
}

ssize_t LogFile::ReadAt(char* into, size_t bytes, uint64_t offset) const {
  return archive_ ? archive_->ReadAt(into, bytes, offset)
                  : ReadFileAt(fd_.get(), into, bytes, offset);
}

uint64_t LogFile::damaged_bytes() const {
  return archive_ && declared_size_ > archive_->size() ? declared_size_ - archive_->size() : 0;
}

LogFingerprint LogFile::ReadFingerprint() const {
  char head[kMaxFingerprintBytes];
  const ssize_t n = ReadAt(head, sizeof head, 0);
  return n <= 0 ? LogFingerprint() : LogFingerprint::Of({head, static_cast<size_t>(n)});
}

// After a slice was read: then all of it is of this generation.
bool LogFile::BeginsAsBefore() const {
  return archive_ != nullptr || ReadFingerprint().hash == fingerprint_.hash;
}

bool LogFile::Identify() {
  if (fingerprint_.complete()) return true;
  fingerprint_ = ReadFingerprint();
  if (!fingerprint_.complete()) return false;
  LogGeneration generation = FindGeneration(identity_, fingerprint_, size_, committed_);
  // Begun again in front of our eyes, with the same first line as before.
  if (fingerprint_.hash == last_fingerprint_ && generation.number <= last_number_) {
    generation = {.file_id = GenerationId(identity_, fingerprint_.hash, last_number_ + 1),
                  .number = last_number_ + 1};
  }
  Choose(generation);
  return true;
}

void LogFile::Choose(const LogGeneration& generation) {
  generation_ = generation;
  position_ = handed_over_ = generation.position;
  for (Stream& stream : streams_) {
    uint64_t parts[] = {generation.file_id, XXH3_64bits(stream.name.data(), stream.name.size())};
    stream.file_id = XXH3_64bits(parts, sizeof parts);
    const auto committed = committed_ ? committed_(stream.file_id) : std::nullopt;
    stream.end = std::max(committed.value_or(0), position_);
    stream.chunk = {};
    if (stream.joiner) (void)stream.joiner->Flush();
  }
  parser_.reset();
  overlap_.assign(std::min<uint64_t>(kOverlapBytes, position_), '\0');
  const ssize_t n = ReadAt(overlap_.data(), overlap_.size(), position_ - overlap_.size());
  overlap_.resize(n < 0 ? 0 : static_cast<size_t>(n));
  // Inside a line: its beginning was handed over as a cut one.
  skipping_ = !overlap_.empty() && overlap_.back() != '\n';
}

void LogFile::ContinueAs(LogGeneration generation) {
  // Copied before we had read the last of the original: nothing is left to read here.
  generation.position = std::min(generation.position, size_);
  Choose(generation);
}

void LogFile::SkipToEnd() {
  position_ = handed_over_ = std::max(position_, size_);
  for (Stream& stream : streams_) stream.end = std::max(stream.end, position_);
}

bool LogFile::WasTruncated() {
  if (archive_) return false;
  struct stat status{};
  if (fstat(fd_.get(), &status) != 0 || static_cast<uint64_t>(status.st_size) < position_)
    return true;
  std::array<char, kOverlapBytes> now{};
  const ssize_t n = ReadAt(now.data(), overlap_.size(), position_ - overlap_.size());
  return n < 0 || std::string_view(now.data(), static_cast<size_t>(n)) != overlap_ ||
         !BeginsAsBefore();
}

bool LogFile::SharesBytesWith(const LogFile& other) const {
  const uint64_t end = std::min(size_, other.size_);
  const size_t bytes = std::min<uint64_t>(end, kMaxFingerprintBytes);
  std::array<char, kMaxFingerprintBytes> ours{}, theirs{};
  return ReadAt(ours.data(), bytes, end - bytes) == static_cast<ssize_t>(bytes) &&
         other.ReadAt(theirs.data(), bytes, end - bytes) == static_cast<ssize_t>(bytes) &&
         ours == theirs;
}

std::vector<std::pair<uint64_t, uint64_t>> LogFile::Positions() const {
  std::vector<std::pair<uint64_t, uint64_t>> positions;
  if (generation_.file_id == 0) return positions;
  positions.emplace_back(generation_.file_id, handed_over_);
  for (const Stream& stream : streams_) {
    if (stream.file_id != generation_.file_id) positions.emplace_back(stream.file_id, stream.end);
  }
  return positions;
}

bool LogFile::Owns(uint64_t file_id) const {
  return generation_.file_id == file_id || std::ranges::any_of(streams_, [&](const Stream& stream) {
           return stream.file_id == file_id;
         });
}

bool LogFile::Changed() {
  struct stat status{};
  if (fstat(fd_.get(), &status) != 0) return false;
  size_ = archive_ ? archive_->size() : static_cast<uint64_t>(status.st_size);
  modified_ns_ = int64_t{status.st_mtim.tv_sec} * kNsPerSecond + status.st_mtim.tv_nsec;
  unlinked_ = status.st_nlink == 0;
  return size_ != position_;
}

Result<std::string_view> LogFile::ReadFrom(uint64_t offset, size_t max_bytes,
                                           std::string& scratch) const {
  if (scratch.size() < max_bytes) scratch.resize(max_bytes);
  const ssize_t n = ReadAt(scratch.data(), max_bytes, offset);
  if (n < 0)
    return FailErrno(errno, "reading log {}",
                     options_.labels.empty() ? "" : options_.labels.front().second);
  return std::string_view(scratch.data(), static_cast<size_t>(n));
}

// The bytes that were there have gone. What was unfinished is all there will be of it.
void LogFile::EndGeneration(LogSlice& slice) {
  FlushRecords(slice, true);
  CloseChunks(slice);
  slice.truncated = true;
  slice.more = true;
  slice.ended = generation_;
  slice.ended.position = position_;
  slice.ended_fingerprint = fingerprint_.hash;
  last_fingerprint_ = fingerprint_.hash;
  last_number_ = generation_.number;
  fingerprint_ = {};
  generation_ = {};
  position_ = handed_over_ = 0;
  overlap_.clear();
  skipping_ = false;
  parser_.reset();
}

// A file that was truncated under a writer that does not append begins with a hole, as does a
// sparse one: nothing was ever written there. False: no hole here.
bool LogFile::SkipHole(std::string_view text) {
  if (text.empty() || text.front() != '\0' || archive_) return false;
  const off_t at = lseek(fd_.get(), static_cast<off_t>(position_), SEEK_DATA);
  const uint64_t next = at >= 0 ? static_cast<uint64_t>(at) : errno == ENXIO ? size_ : position_;
  if (next <= position_) return false;
  position_ = next;
  overlap_.clear();
  return true;
}

Result<LogSlice> LogFile::Read(std::string& scratch, size_t max_bytes) {
  LogSlice slice;
  const uint64_t known_size = size_;
  Changed();
  if (!Identify()) return slice;
  if (size_ < position_) {
    slice.unread = known_size > position_ ? known_size - position_ : 0;
    EndGeneration(slice);
    return slice;
  }
  // The same size may be another text; what was written since the last look is read once more.
  if (size_ == position_ && modified_ns_ == read_modified_ns_) {
    FlushQuiet(slice);
    return slice;
  }
  quiet_looks_ = 0;
  read_modified_ns_ = modified_ns_;
  const size_t overlap = overlap_.size();
  const uint64_t from = position_ - overlap;
  FAULTLINE_ASSIGN(std::string_view text, ReadFrom(from, overlap + max_bytes, scratch));
  if (text.substr(0, overlap) != overlap_ || !BeginsAsBefore()) {
    slice.unread = known_size > position_ ? known_size - position_ : 0;
    EndGeneration(slice);
    return slice;
  }
  if (SkipHole(text.substr(overlap))) {
    slice.more = size_ > position_;
    return slice;
  }
  slice.scanned = text.size();
  const bool no_line = text.substr(overlap).find('\n') == std::string_view::npos;
  if (no_line && !skipping_ && text.size() == overlap + max_bytes &&
      max_bytes < options_.max_line_bytes) {
    FAULTLINE_ASSIGN(text, ReadFrom(from, overlap + options_.max_line_bytes, scratch));
    if (text.size() < overlap) return slice;
  }
  const uint64_t end = from + text.size();
  TakeLines(text.substr(overlap), slice);
  CloseChunks(slice);
  slice.more = size_ > end;
  slice.waits = std::ranges::any_of(
      streams_, [](const Stream& stream) { return stream.joiner && stream.joiner->waits(); });
  return slice;
}

Result<LogSlice> LogFile::Finish(std::string& scratch) {
  LogSlice slice;
  if (!fingerprint_.complete()) {
    // A single short line that never got its newline. It is a record all the same.
    FAULTLINE_ASSIGN(const std::string_view head, ReadFrom(0, kMaxFingerprintBytes, scratch));
    if (head.empty()) return slice;
    fingerprint_ = {.hash = XXH3_64bits(head.data(), head.size()), .bytes = head.size()};
    Choose(FindGeneration(identity_, fingerprint_, size_, committed_));
  }
  FAULTLINE_ASSIGN(const std::string_view rest,
                   ReadFrom(position_, options_.max_line_bytes, scratch));
  if (!rest.empty() && !skipping_) {
    TakeLine(rest, position_, position_ + rest.size(), slice);
    slice.bytes += rest.size();
    Advance(rest);
  }
  FlushRecords(slice, true);
  CloseChunks(slice);
  return slice;
}

}  // namespace faultline
