// StackNames on a thread of its own. A thread that hangs on somebody's dead mount is left behind at
// the end, as the collector host does with leaves that block.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "agent/probes/stack_names.h"
#include "common/result.h"

namespace faultline {

class StackNamer {
 public:
  static Result<std::unique_ptr<StackNamer>> Start(const FsRoot& fs);
  ~StackNamer();  // never waits
  StackNamer(const StackNamer&) = delete;
  StackNamer& operator=(const StackNamer&) = delete;

  // Both return at once and are worked off in their order.
  void Look(std::vector<uint32_t> pids);
  void Name(std::vector<RawStack> stacks);
  // What Name has found, once.
  std::optional<std::vector<NamedStack>> Take();
  // Readable when there is something to take.
  int fd() const;

 private:
  struct State;
  explicit StackNamer(std::shared_ptr<State> state) : state_(std::move(state)) {}
  static void Work(const std::shared_ptr<State>& state);
  const std::shared_ptr<State> state_;
};

}  // namespace faultline
