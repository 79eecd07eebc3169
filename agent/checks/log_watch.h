// Log monitors at work: one source per stream, one matcher over all of its monitors, and the
// conditions they set. Keeps positions and conditions in <state>/log_state, written when something
// changed, so that a restart neither forgets nor repeats.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agent/checks/log_conditions.h"
#include "agent/checks/log_matcher.h"
#include "agent/checks/log_source.h"
#include "agent/checks/rule.h"
#include "common/host_view.h"

namespace faultline {

class LogWatch {
 public:
  LogWatch(const HostView& host, std::string state_folder, int64_t expire_ns, int64_t interval_ns,
           LogConditions::Emit emit, std::function<void(const char*, uint64_t)> drop);
  ~LogWatch();

  void SetMonitors(std::vector<LogMonitor> monitors);
  // A line of the journal, read by somebody else; `identifier` is who says to have written it.
  void Offer(std::string_view unit, std::string_view identifier, std::string_view text,
             int64_t unix_ns);
  bool wants_journal() const;
  std::vector<int> fds() const;
  // Reads a portion of every source, tells what is due. Returns when it wants to be called again
  // (Unix time).
  int64_t Step();
  void Save();
  const LogConditions& conditions() const { return conditions_; }
  // Monitors that cannot be followed here, and why.
  const std::vector<std::string>& off() const { return off_; }

 private:
  struct Stream;
  void OpenStream(Stream& stream);

  const HostView host_;
  const std::string state_folder_;
  const std::function<void(const char*, uint64_t)> drop_;
  LogConditions conditions_;
  std::vector<LogMonitor> monitors_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::map<std::string, std::string> positions_;  // of sources, by name
  std::vector<std::string> off_;
  int64_t saved_unix_ns_ = 0;
  bool more_ = false;
};

}  // namespace faultline
