// One log file that is being read: where we are, which generation of its contents this is, and how
// its bytes become records. Reads in slices; knows nothing of folders, rotation or fairness
// (log_tailer.h). Used on the agent's thread.
//
// Identity. A generation of a file is (device, inode, first line up to kMaxFingerprintBytes,
// number); its hash is the file_id under which the aggregator stores each offset once. Where a
// folder is one container's, it is (folder, first line, number): so the compressed copy that
// rotation makes is the same log, and is read on where the file that is gone was left. The first
// line of a log has a time stamp nearly always, so that a truncated and re-used file gets another
// identity; where it has none (a banner), the number tells generations apart. A truncation is seen
// by the size, by the bytes before the position, which are read again with every slice, or by the
// first line, which is looked at after every slice: lines of one length that end alike are common.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/logs/gzip_reader.h"
#include "agent/logs/line_joiner.h"
#include "agent/logs/log_parser.h"
#include "agent/logs/log_roots.h"
#include "agent/logs/log_treatment.h"
#include "agent/logs/unread_log.h"

namespace faultline {

// How far a file was read and handed over for good; nullopt: never.
using CommittedPosition = std::function<std::optional<uint64_t>(uint64_t file_id)>;

// Where positions outlive the agent. All but `find` may be empty.
struct LogPositions {
  CommittedPosition find;
  // What is before `position` was given up, and is not to be read after a restart either.
  std::function<void(uint64_t file_id, uint64_t position)> skip;
  // The file is gone for good.
  std::function<void(uint64_t file_id)> forget;
  // The last lines of that log wait among those that were saved from files that are going: what
  // follows goes the same way.
  std::function<bool(uint64_t file_id)> in_backlog;
  // Kept beside the positions, by file; all that is kept.
  std::function<void(const std::vector<UnreadLog>& logs)> note_unread;
  std::function<std::vector<UnreadLog>()> unread;
};

constexpr size_t kMaxFingerprintBytes = 256;

// The beginning of a file that names its generation; not complete while the first line is being
// written.
struct LogFingerprint {
  uint64_t hash = 0;
  size_t bytes = 0;
  bool complete() const { return bytes > 0; }
  static LogFingerprint Of(std::string_view head);
};

// The id of the newest generation known for this file and fingerprint, and where to go on in it.
struct LogGeneration {
  uint64_t file_id = 0;
  uint32_t number = 0;
  uint64_t position = 0;
  bool known = false;  // read before
};
LogGeneration FindGeneration(const FileKey& key, const LogFingerprint& fingerprint, uint64_t size,
                             const CommittedPosition& committed);

// What a slice of a file became.
struct LogSlice {
  std::vector<LogChunk> chunks;  // to be emitted in this order
  uint64_t bytes = 0;            // taken
  uint64_t scanned = 0;          // read, for the budget
  uint64_t lines = 0;            // records
  uint64_t malformed = 0;
  uint64_t lost_too_long = 0;  // bytes of lines and records beyond the limit
  uint64_t unread = 0;         // when truncated: bytes known to have been there and not read
  bool truncated = false;      // a new generation began; `ended` may be found in a copy
  bool more = false;           // there is more to read now
  bool waits = false;          // a record waits for lines that may belong to it: look again
  LogGeneration ended;  // when truncated: the generation that has ended, and where we were in it
  uint64_t ended_fingerprint = 0;
};

class LogFile {
 public:
  struct Options {
    uint32_t max_line_bytes = 1 << 20;
    std::vector<std::pair<std::string, std::string>> labels;  // sorted by name, without `stream`
    std::string_view parser;          // empty: cri or docker, by the first byte
    std::optional<FileKey> identity;  // in place of device and inode
    bool compressed = false;
    const LogTreatment* treatment = nullptr;  // outlives the file
    const Clock* clock = nullptr;
  };

  LogFile(OpenedLog opened, Options options, CommittedPosition committed);

  // Reads at most `max_bytes` (at least one line) through `scratch`, which all files share.
  Result<LogSlice> Read(std::string& scratch, size_t max_bytes);
  // The last line without newline and the unfinished records: the file has ended.
  Result<LogSlice> Finish(std::string& scratch);
  // Re-reads the size; true if there is something to read or the file was truncated.
  bool Changed();
  // Takes over the identity and position that another file had: this one is its copy.
  void ContinueAs(LogGeneration generation);

  // What is unread is given up.
  void SkipToEnd();
  // Looks, without taking note: Read will say so.
  bool WasTruncated();
  // The last bytes that both have are the same: the shorter one is a beginning of the other.
  bool SharesBytesWith(const LogFile& other) const;
  // Of the file and of its streams, by id.
  std::vector<std::pair<uint64_t, uint64_t>> Positions() const;
  bool Owns(uint64_t file_id) const;

  const FileKey& key() const { return key_; }
  const FileKey& identity() const { return identity_; }
  bool compressed() const { return archive_ != nullptr; }
  // A compressed file says how much it holds; what damage has taken of that.
  uint64_t damaged_bytes() const;
  uint64_t file_id() const { return generation_.file_id; }
  uint64_t position() const { return position_; }
  uint64_t size() const { return size_; }
  uint64_t unread_bytes() const { return size_ > position_ ? size_ - position_ : 0; }
  const LogFingerprint& fingerprint() const { return fingerprint_; }
  bool unlinked() const { return unlinked_; }
  bool is_known() const { return generation_.known; }
  // False while the first line is being written.
  bool Identify();

 private:
  static constexpr size_t kOverlapBytes = 64;
  // stdout and stderr interleave in one file, and a record that is still unfinished on one must not
  // hold back the other: each stream has an id of its own under which its records are stored once.
  // The file's id carries the position only, and, in files without streams, the records.
  struct Stream {
    std::string_view name;
    uint64_t file_id = 0;
    uint64_t end = 0;  // records before it were handed over
    LogChunk chunk;
    std::unique_ptr<LineJoiner> joiner;  // where records have several lines
  };

  void EndGeneration(LogSlice& slice);
  void Choose(const LogGeneration& generation);
  ssize_t ReadAt(char* into, size_t bytes, uint64_t offset) const;
  LogFingerprint ReadFingerprint() const;
  bool BeginsAsBefore() const;
  Result<std::string_view> ReadFrom(uint64_t offset, size_t max_bytes, std::string& scratch) const;
  bool SkipHole(std::string_view text);
  void ChooseParser(char first);
  void TakeLines(std::string_view text, LogSlice& slice);
  void TakeLine(std::string_view text, uint64_t offset, uint64_t end_offset, LogSlice& slice);
  void TakeRecord(ParsedLine&& parsed, LogSlice& slice);
  void KeepRecord(Stream& stream, ParsedLine&& parsed, LogSlice& slice);
  void FlushRecords(LogSlice& slice, bool parser_too);
  void FlushQuiet(LogSlice& slice);
  uint64_t BeginOfUnfinished(const Stream& stream) const;
  void Advance(std::string_view taken);
  void CloseChunks(LogSlice& slice);
  Stream& StreamOf(std::string_view name);

  FileDescriptor fd_;
  std::unique_ptr<GzipReader> archive_;
  const FileKey key_;
  const FileKey identity_;
  const Options options_;
  const CommittedPosition committed_;
  std::unique_ptr<LogParser> parser_;
  LogFingerprint fingerprint_;
  LogGeneration generation_;
  std::array<Stream, 3> streams_;
  uint64_t position_ = 0;     // start of the first line that was not taken
  uint64_t handed_over_ = 0;  // the file's position as last emitted
  uint64_t size_ = 0;
  int64_t modified_ns_ = 0;
  int64_t read_modified_ns_ = 0;
  bool unlinked_ = false;
  bool skipping_ = false;          // inside a line that was cut
  int quiet_looks_ = 0;            // without growth, while a record waits
  uint64_t declared_size_ = 0;     // of a compressed file
  std::string overlap_;            // the last bytes before position_
  uint64_t last_fingerprint_ = 0;  // of the generation before this one
  uint32_t last_number_ = 0;
};

}  // namespace faultline
