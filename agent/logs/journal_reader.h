// systemd's journal, through libsystemd: every entry is a record, its unit the stream. Entries are
// numbered (the i= of their cursor) within a numbering that has an id (s=): id and number are file
// and position, so that an entry is stored once, whatever is killed. Begins at the end on the first
// start. Entries of the kernel are left to kmsg_reader where that runs. Owned by the agent, used on
// its thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/collectors/collector.h"
#include "agent/logs/log_file.h"
#include "agent/logs/log_observer.h"
#include "agent/logs/log_treatment.h"

struct sd_journal;

namespace faultline {

class JournalReader final : public Collector {
 public:
  struct Options {
    std::vector<std::string> folders;  // the first that holds a journal is read
    uint32_t max_record_bytes = 1 << 20;
    bool without_kernel = false;
  };
  // kNotFound: there is no journal here. What is referred to outlives the reader.
  static Result<std::unique_ptr<Collector>> Open(const HostView& host, const Options& options,
                                                 std::shared_ptr<const LogTreatments> treatments,
                                                 const CommittedPosition& committed,
                                                 std::span<LogObserver* const> observers = {});
  ~JournalReader() override;

  Result<void> Collect(Emitter& out) override;
  Result<void> Wake(Emitter& out) override;
  std::optional<int> wake_fd() const override;

 private:
  struct Close {
    void operator()(sd_journal* journal) const;
  };
  // The place of an entry: s= and i= of its cursor.
  struct Place {
    std::string numbering;
    uint64_t number = 0;
  };

  JournalReader() = default;
  Result<void> Seek();
  std::optional<Place> PlaceOfEntry() const;
  std::string_view Field(const char* name) const;
  Result<void> ReadEntries();
  void Take(const Place& place);
  void Show();
  bool Emit(Emitter& out);

  std::unique_ptr<sd_journal, Close> journal_;
  const HostView* host_ = nullptr;
  Options options_;
  std::shared_ptr<const LogTreatments> treatments_;
  CommittedPosition committed_;
  std::vector<LogObserver*> observers_;
  std::map<std::string, LogChunk> open_;  // by unit
  std::vector<LogChunk> pending_;         // read, not taken by the pipeline yet; the position last
  Place last_;                            // read
  uint64_t entries_ = 0;
  uint64_t cut_bytes_ = 0;
};

}  // namespace faultline
