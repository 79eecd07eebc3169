// Threads for built-in checks. One is enough while each check comes back; a check that hangs in the
// kernel keeps its thread, and another takes over, up to a limit. A thread that hangs is never
// waited for: it shares what it uses.
#pragma once

#include <functional>
#include <memory>

#include "agent/checks/builtin/check.h"
#include "common/host_view.h"

namespace faultline {

class BuiltinPool {
 public:
  // `done` is called on a thread of the pool.
  using Done = std::function<void(Finding finding, int64_t duration_ns)>;

  explicit BuiltinPool(std::shared_ptr<const HostView> host, size_t max_threads = 8);
  ~BuiltinPool();  // never waits for a check

  // The check must not be given again before `done`.
  void Run(std::shared_ptr<Check> check, Done done);
  // The run at the head is late: a further thread takes what waits.
  void AddThread();
  // Runs that were given and did not come back.
  size_t pending() const;

 private:
  struct State;
  static void Work(const std::shared_ptr<State>& state);
  std::shared_ptr<State> state_;
};

}  // namespace faultline
