// Runs every row of the collectors' and probes' catalogues: schedules, times, bounds and isolates each leaf. Passes begin at
// the multiples of their period on the UTC clock, so that they share time stamps, across nodes too. Leaves that may block
// have a thread of their own (blocking_leaf.h); all the rest run here, on the agent's thread, one after the other. Between
// its passes a collector that takes next to no time is read once more, and what has changed goes out at once
// (collect.changes_period).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/collectors/collector.h"
#include "agent/pipeline.h"

namespace faultline {

class BlockingLeaf;

// What /debug/leaves and the inventory show of a leaf.
struct LeafReport {
  std::string kind;  // collector, probe …
  std::string name;
  std::string doc;
  bool running = false;
  std::string reason;  // why it is off, or what its last pass said
  bool success = false;
  bool has_thread = false;
  double last_duration_seconds = 0;
  int64_t period_ms = 0;
  uint64_t passes = 0;
  uint64_t failures = 0;
  uint64_t no_data = 0;  // passes that found no such thing on this host
};

class CollectorHost {
 public:
  // Runs `work` soon on the agent's thread; called from any thread.
  using Post = std::function<void(std::function<void()> work)>;

  // `host` and `config` are shared with the leaves, whose threads may outlive the host. `containers` may be null.
  CollectorHost(std::shared_ptr<const HostView> host, std::shared_ptr<const v1::AgentConfig> config,
                ContainerIndex* containers, Pipeline* pipeline, Post post);
  ~CollectorHost();

  // Makes the leaf if the configuration wants it; `kind` is "collector" or "probe".
  void Add(std::string_view kind, const CollectorRow& row);
  // A leaf that is not in a catalogue (logs, own metrics): made by the agent.
  void AddMade(std::string_view kind, std::string_view name, std::string_view doc, bool may_block,
               Result<std::unique_ptr<Collector>> made);
  // The greatest interval of which all leaves' periods, and that of changes, are multiples.
  int64_t tick_ns() const { return tick_ns_; }
  // Runs what is due. Returns false when leaves with threads of their own are still at it: then idle() is called later.
  bool Tick();
  // Called when the last pass that a Tick left running has ended.
  void OnIdle(std::function<void()> idle) { idle_ = std::move(idle); }

  // Ends the series of the leaves that do not run in `fresh`, which takes over.
  void EndMissing(const CollectorHost& fresh);

  struct Waker {
    size_t leaf;
    int fd;
  };
  std::vector<Waker> Wakers() const;
  // The descriptor of a leaf is readable.
  void Wake(size_t leaf);

  std::vector<LeafReport> Leaves() const;
  // True when some leaf's thread hangs: then the process must not wait for its threads.
  bool HasStuckLeaf() const;

 private:
  struct Leaf;

  int64_t PeriodOf(std::string_view kind, std::string_view name) const;
  void AdjustTick();
  // Which multiple of `period_ns` the time is at; a tick may come a little early.
  int64_t Multiple(int64_t unix_ns, int64_t period_ns) const { return (unix_ns + tick_ns_ / 2) / period_ns; }
  void RunInline(Leaf& leaf, int64_t unix_ns);
  void SendChanges(Leaf& leaf, int64_t unix_ns);
  void StartBlocking(Leaf& leaf, int64_t unix_ns);
  void FinishBlocking(Leaf& leaf, const void* outcome);
  void Ended(Leaf& leaf, const Result<void>& result, int64_t duration_ns, int64_t unix_ns);
  void EmitScrape(Leaf& leaf, double seconds, bool success, int64_t unix_ns);

  const std::shared_ptr<const HostView> host_;
  const std::shared_ptr<const v1::AgentConfig> config_;
  ContainerIndex* const containers_;
  Pipeline* const pipeline_;
  const Post post_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for work posted by threads
  std::vector<std::unique_ptr<Leaf>> leaves_;
  std::function<void()> idle_;
  int64_t tick_ns_ = 0;
  int64_t changes_ns_ = 0;        // 0: changes wait for the next pass
  int64_t changes_multiple_ = 0;  // that was sent last
  int outstanding_ = 0;  // passes on threads that did not end nor time out
};

// Whether the configuration switches a leaf on: collectors.<name>.enabled, probes.enabled and probes.<name>.enabled.
bool LeafEnabled(const v1::AgentConfig& config, std::string_view kind, const CollectorRow& row);

}  // namespace faultline
