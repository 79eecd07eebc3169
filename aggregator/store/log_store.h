// Log lines by stream. A commit writes each stream's new lines as one small durable piece (its
// tail, also in memory); when a tail is large or old enough it is sorted, cut into blocks and its
// pieces deleted, in one write. Lines of a file are stored once: the end offset of (node, file) is
// kept in the same write as the lines. Stage … Retain belong to the commit thread, reading to any.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "aggregator/store/engine.h"
#include "aggregator/store/label_index.h"
#include "aggregator/store/store.h"

namespace faultline::store {

// A block as its index names it.
struct LogBlockRow {
  int64_t first_ns = 0;
  int64_t last_ns = 0;
  uint64_t through = 0;  // the last piece that is in it
  std::string key;       // of the block itself
};
// Those of a stream that overlap [begin, end], day by day in order of their first line.
Result<void> VisitLogBlocks(const Engine& engine, uint32_t stream, int64_t begin_unix_ns,
                            int64_t end_unix_ns,
                            const std::function<void(const LogBlockRow&)>& visit);

class LogStore {
 public:
  explicit LogStore(Engine& engine) : engine_(engine) {}
  Result<void> Load();
  Result<StreamId> Intern(const Labels& labels);

  void Stage(const AppendBatch& batch, int64_t now_unix_ns, rocksdb::WriteBatch& write);
  // Definitions, and blocks out of tails that are due.
  void StageBlocks(int64_t now_unix_ns, rocksdb::WriteBatch& write);
  void Publish();
  void Discard();
  bool HasWork(int64_t now_unix_ns) const;
  Result<void> Retain(int64_t oldest_unix_ns);

  Result<void> Scan(const LogQuery& query,
                    const std::function<bool(const Labels&, const LogEntry&)>& visit) const;
  Result<std::vector<Labels>> Streams(std::span<const LabelMatcher> matchers, int64_t begin_unix_ns,
                                      int64_t end_unix_ns) const;
  void AddStats(StoreStats& stats) const;

 private:
  friend class LogStreamScan;
  struct Piece {  // of a tail
    uint64_t number = 0;
    size_t bytes = 0;
    std::vector<LogEntry> entries;
  };
  using Pieces = std::vector<std::shared_ptr<const Piece>>;
  struct Stream {
    Pieces tail;
    size_t tail_bytes = 0;
    int64_t tail_since_unix_ns = 0;  // when its first piece came
    int64_t min_unix_ns = INT64_MAX;
    int64_t max_unix_ns = INT64_MIN;
    bool BlockDue(int64_t now_unix_ns) const;
  };
  struct StagedPiece {
    uint32_t stream = 0;
    int64_t now_unix_ns = 0;
    std::shared_ptr<const Piece> piece;
  };
  using FileName = std::pair<std::string, uint64_t>;
  struct FileEnd {
    uint64_t offset = 0;
    int64_t time_unix_ns = 0;
  };

  Result<void> LoadStreams();
  Result<void> LoadTails();
  Result<void> LoadFiles();
  // The lines of `rows` that are not stored yet; false if there are none.
  bool TakeNew(const AppendBatch& batch, const AppendBatch::LogRows& rows, int64_t now_unix_ns,
               rocksdb::WriteBatch& write, std::vector<LogEntry>& entries);
  void StagePiece(uint32_t stream, std::vector<LogEntry> entries, int64_t now_unix_ns,
                  rocksdb::WriteBatch& write);
  void StageBlock(uint32_t id, const Stream& stream, rocksdb::WriteBatch& write);
  void AddPiece(uint32_t id, std::shared_ptr<const Piece> piece, int64_t now_unix_ns);

  Engine& engine_;
  LabelIndex index_;
  std::mutex intern_mutex_;  // guards the three below
  std::atomic<uint32_t> last_id_ = 0;
  std::vector<std::pair<std::string, std::string>> new_definitions_;
  std::vector<std::pair<std::string, std::string>> staged_definitions_;

  mutable std::shared_mutex streams_mutex_;  // written by the commit thread only
  std::unordered_map<uint32_t, Stream> streams_;
  size_t tail_bytes_ = 0;

  // Commit thread only.
  std::map<FileName, FileEnd> files_;
  std::map<FileName, FileEnd> staged_files_;
  std::vector<StagedPiece> staged_pieces_;
  std::vector<std::pair<uint32_t, uint64_t>> staged_cuts_;  // stream, last piece that became block
  uint64_t last_piece_ = 0;
  uint64_t staged_records_ = 0;
  uint64_t staged_duplicates_ = 0;

  std::atomic<uint64_t> records_ = 0;
  std::atomic<uint64_t> duplicates_ = 0;
};

}  // namespace faultline::store
