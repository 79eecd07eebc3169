// Runs the rules of this node on a thread of its own that never waits for a check: programs go to
// the runner's process, built-ins to a pool, log lines through the log watch. Each rule has its
// interval, with a jitter of its own; of a rule there is one run at a time; a run that comes due
// while the last one hangs is told as a timeout and not started. Results leave through `emit`, on
// this thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "faultline/v1/check.pb.h"
#include "faultline/v1/config.pb.h"
#include "faultline/v1/control.pb.h"

namespace faultline {

struct CheckEngineOptions {
  v1::ChecksConfig config;
  std::string host_root = "/";
  std::string host_name;
  std::string state_folder;    // empty: nothing is kept
  std::string runner_program;  // empty: faultline-check-runner beside this program
  std::string cgroup_folder;   // empty: without cgroups
  // A process inside a container view; 0: there is none now. Called on the engine's thread.
  std::function<uint32_t(const v1::CheckView&)> find_view;
  std::function<void(v1::CheckResult)> emit;
  std::function<void(const char* reason, uint64_t count)> drop;
};

class CheckEngine {
 public:
  explicit CheckEngine(CheckEngineOptions options);
  ~CheckEngine();
  void Start();
  // Ends what runs, keeps the state of conditions; returns within about two seconds.
  void Stop();
  // RunChecks, SetCheckRules, ListChecks; `reply` is called on the engine's thread.
  void Execute(v1::Command command, std::function<void(v1::CommandReply)> reply);
  // Lines of the journal. Nothing is kept when no rule wants them.
  struct JournalLine {
    std::string unit;
    std::string identifier;  // SYSLOG_IDENTIFIER
    std::string text;
    int64_t unix_ns = 0;
  };
  bool WantsJournal() const;
  void Offer(std::vector<JournalLine> lines);
  // True when a built-in check hangs: the process must not wait for its threads.
  bool HasStuckCheck() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace faultline
