// A leaf that may block (statfs on a dead mount, fork) has a thread of its own. What it emits is kept until its pass ends
// and is then replayed on the agent's thread. A pass that never ends costs this one thread and nothing else: no second
// pass is started, and the thread is left behind at exit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "agent/collectors/collector.h"

namespace faultline {

// What one pass emitted, in order.
class EmittedPass {
 public:
  virtual ~EmittedPass() = default;
  virtual void ReplayInto(Emitter& out) const = 0;
};

class BlockingLeaf {
 public:
  struct Outcome {
    uint64_t pass = 0;
    Result<void> result;
    int64_t duration_ns = 0;
    std::shared_ptr<const EmittedPass> emitted;
  };
  // `done` is called on the leaf's thread. What the collector refers to is kept alive by `keep`.
  BlockingLeaf(std::unique_ptr<Collector> collector, const Clock* clock, std::shared_ptr<const void> keep,
               std::function<void(Outcome)> done);
  ~BlockingLeaf();  // never waits

  // Only when the last pass is done.
  void Start(uint64_t pass);

 private:
  struct State;
  static void Run(const std::shared_ptr<State>& state);
  std::shared_ptr<State> state_;
};

}  // namespace faultline
