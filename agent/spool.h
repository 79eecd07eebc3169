// Batches wait here, on disk, until the aggregator has said that they are durable there. Bounded in bytes: beyond it the
// oldest are dropped and counted, those without log lines first. Also kept: each session's dictionary (to send again what
// an aggregator lost) and how far each log file has been read, written together with the batch that carries the lines.
// Survives SIGKILL of the agent; a power cut may cost the last moments (no fsync: the page cache is trusted). Keys and
// values: SPOOL_FORMAT.md. Owned by the agent, used on its thread. RocksDB is included by its parts only: spool_database
// (the database), spool_sessions (which batches there are), spool_positions (of log files).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/logs/unread_log.h"
#include "agent/pipeline.h"
#include "common/clock.h"
#include "common/result.h"
#include "faultline/v1/control.pb.h"

namespace faultline {

struct SpoolOptions {
  std::string folder;  // empty: in memory
  uint64_t max_bytes = uint64_t{512} << 20;
  // Log lines that can be read again wait in their files while so many compressed bytes of logs are in the prompt lane. Bulk
  // waits earlier, as soon as the aggregator falls behind (log_window.h). Lines of files that are going have a lane of their
  // own, the backlog, which may fill half of max_bytes.
  uint64_t log_window_bytes = uint64_t{8} << 20;
  const Clock* clock = nullptr;  // null: bulk waits for log_window_bytes as well
};

class Spool final : public BatchSink {
 public:
  struct SpooledBatch {
    uint64_t session = 0;
    uint64_t sequence = 0;
    uint64_t records = 0;
    uint32_t series_before = 0;   // definitions that this batch takes for granted: 1..series_before
    uint32_t series_after = 0;    // and those known once it is taken
    uint32_t streams_before = 0;
    uint32_t streams_after = 0;
    std::string payload;          // compressed v1::Batch with previous_sequence = sequence - 1
  };
  struct Counters {
    uint64_t appended_records = 0;
    uint64_t recovered_records = 0;  // found at start, from earlier runs
    uint64_t delivered_records = 0;  // acknowledged
    uint64_t dropped_records = 0;
    uint64_t dropped_batches = 0;
  };

  static Result<std::unique_ptr<Spool>> Open(const SpoolOptions& options);
  ~Spool() override;

  using BatchSink::Put;
  Result<void> Put(Lane lane, v1::Batch& batch, uint64_t records) override;
  bool Congested(LogRoom room) const override;
  Result<void> StartSession() override;
  // Called after each Put.
  void OnPut(std::function<void()> call);

  uint64_t session() const;  // the current one
  // Sessions with batches, oldest first, then the current one.
  std::vector<uint64_t> Sessions(Lane lane = Lane::kPrompt) const;
  // Whether more of the backlog may be sent while so many bytes of it are on the road.
  bool BacklogMayGo(uint64_t on_road_bytes) const;
  // The last lines of that log file are in the backlog: what follows them must go after them.
  bool InBacklog(uint64_t file_id) const;
  // The first batch of `session` at or after `sequence`; nullopt: none yet, or it must follow a prompt one that is not
  // acknowledged.
  Result<std::optional<SpooledBatch>> Read(uint64_t session, uint64_t sequence) const;
  // Everything of `session` up to `sequence` is durable over there. Unknown sessions are ignored.
  Result<void> Acknowledge(uint64_t session, uint64_t sequence);
  // One batch that nobody will ever take; counted as dropped.
  Result<void> Discard(uint64_t session, uint64_t sequence);
  // Highest sequence written in `session`; 0: none.
  uint64_t LastSequence(uint64_t session) const;
  // Definitions of references first..last (inclusive).
  Result<v1::Definitions> ReadDefinitions(uint64_t session, uint32_t first_series, uint32_t last_series,
                                          uint32_t first_stream, uint32_t last_stream) const;
  // End of what was taken from a log file, or given up of it; 0: nothing.
  uint64_t LogPosition(uint64_t file_id) const;
  // What is before `position` was given up: nobody shall read it after a restart either.
  Result<void> SkipLog(uint64_t file_id, uint64_t position);
  // The file is gone for good.
  Result<void> ForgetLog(uint64_t file_id);
  // What was seen of log files and is not taken yet (log_file.h). Whoever was noted is known, be it at 0.
  Result<void> NoteUnreadLogs(const std::vector<UnreadLog>& logs);
  std::vector<UnreadLog> UnreadLogs() const;
  bool IsKnownLog(uint64_t file_id) const;
  // Of files of earlier runs that nobody has asked for in this one, nor written: call when all files that there are have been
  // found. Returns how many.
  Result<uint64_t> ForgetUnusedLogs();

  uint64_t bytes() const;
  uint64_t log_bytes() const;  // of batches that carry log lines
  uint64_t batches() const;
  uint64_t records() const;
  const Counters& counters() const;

 private:
  struct Impl;
  explicit Spool(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
