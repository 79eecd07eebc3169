// The kernel's log. One read of /dev/kmsg is one record; records are numbered, so that what the
// ring buffer lost before we came is known exactly. Begins at the end on the first start, and after
// the last record taken on a later one of the same boot: the number is the position that the spool
// keeps. Owned by the agent, used on its thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "agent/collectors/collector.h"
#include "agent/logs/log_file.h"
#include "agent/logs/log_observer.h"
#include "agent/logs/log_parser.h"
#include "agent/logs/log_treatment.h"
#include "common/file_descriptor.h"

namespace faultline {

class KmsgReader final : public Collector {
 public:
  // `host` outlives the reader.
  static Result<std::unique_ptr<Collector>> Open(const HostView& host, uint32_t max_record_bytes,
                                                 std::shared_ptr<const LogTreatments> treatments,
                                                 const CommittedPosition& committed,
                                                 std::span<LogObserver* const> observers = {});
  // `fd` is non-blocking and gives one record a read.
  KmsgReader(FileDescriptor fd, const HostView& host, uint32_t max_record_bytes,
             std::shared_ptr<const LogTreatments> treatments, const CommittedPosition& committed,
             std::span<LogObserver* const> observers = {});

  Result<void> Collect(Emitter& out) override;
  Result<void> Wake(Emitter& out) override;
  std::optional<int> wake_fd() const override { return fd_.get(); }

 private:
  Result<void> ReadRecords();
  void Take(std::string_view text);
  void Show();
  bool Emit(Emitter& out);

  const FileDescriptor fd_;
  const HostView& host_;
  const std::unique_ptr<LogParser> parser_;
  const uint64_t file_id_;
  const std::shared_ptr<const LogTreatments> treatments_;  // null: none
  const std::vector<LogObserver*> observers_;
  std::optional<uint64_t>
      next_;  // number of the first record not taken; nullopt: whatever comes first
  LogChunk pending_;
  uint64_t records_ = 0;
  uint64_t lost_ = 0;
};

}  // namespace faultline
