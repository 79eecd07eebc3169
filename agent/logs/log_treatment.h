// What the configuration wants done with whose lines: which are read at all, how the lines of a
// record are joined, which parser reads the text, what is overwritten. Made once; shared by all
// files and by the readers of kmsg and the journal. Used on the agent's thread.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "agent/logs/line_joiner.h"
#include "agent/logs/log_parser.h"
#include "agent/logs/redactor.h"
#include "agent/logs/text_parser.h"
#include "common/clock.h"
#include "faultline/v1/config.pb.h"

namespace faultline {

// Of one kind of lines. Shared and never changed.
struct LogTreatment {
  std::unique_ptr<TextParser> text;  // null: severity alone is looked for
  JoinRule join;                     // empty: a line is a record
  const Redactor* redactor = nullptr;

  // Severity, time and attributes out of the text, then what must not leave goes.
  void Finish(LogChunk::Record& record, int64_t now_unix_ns) const;
};

// Whose lines.
struct LogOwner {
  std::string_view name_space, pod, container, file;
};

class LogTreatments {
 public:
  static Result<std::unique_ptr<LogTreatments>> Make(const v1::LogsConfig& config);

  bool Wanted(const LogOwner& owner) const;
  // Lives as long as this.
  const LogTreatment& Of(const LogOwner& owner) const;

 private:
  LogTreatments() = default;
  v1::LogsConfig config_;
  std::unique_ptr<Redactor> redactor_;
  LogTreatment plain_;
  std::vector<LogTreatment> formats_;  // one for each of the configuration
};

}  // namespace faultline
