#include "agent/checks/builtin_pool.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace faultline {

struct BuiltinPool::State {
  std::shared_ptr<const HostView> host;
  size_t max_threads = 0;
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::pair<std::shared_ptr<Check>, Done>> queue;
  size_t threads = 0;
  size_t running = 0;
  bool stopping = false;
};

BuiltinPool::BuiltinPool(std::shared_ptr<const HostView> host, size_t max_threads)
    : state_(std::make_shared<State>()) {
  state_->host = std::move(host);
  state_->max_threads = max_threads;
}

BuiltinPool::~BuiltinPool() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->queue.clear();
  state_->wake.notify_all();
}

void BuiltinPool::Run(std::shared_ptr<Check> check, Done done) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->queue.emplace_back(std::move(check), std::move(done));
    state_->wake.notify_one();
    if (state_->threads > 0) return;
  }
  AddThread();
}

void BuiltinPool::AddThread() {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->threads >= state_->max_threads || state_->stopping) return;
    ++state_->threads;
  }
  std::thread([state = state_] { Work(state); }).detach();
}

size_t BuiltinPool::pending() const {
  const std::lock_guard lock(state_->mutex);
  return state_->queue.size() + state_->running;
}

void BuiltinPool::Work(const std::shared_ptr<State>& state) {
  while (true) {
    std::pair<std::shared_ptr<Check>, Done> work;
    {
      std::unique_lock lock(state->mutex);
      state->wake.wait(lock, [&] { return state->stopping || !state->queue.empty(); });
      if (state->stopping) return;
      work = std::move(state->queue.front());
      state->queue.pop_front();
      ++state->running;
    }
    const int64_t begin_ns = state->host->clock->SteadyNs();
    Finding finding = work.first->Evaluate(*state->host);
    const int64_t duration_ns = state->host->clock->SteadyNs() - begin_ns;
    // Under the lock: whoever ends the pool has no callback running behind its back.
    const std::lock_guard lock(state->mutex);
    --state->running;
    if (!state->stopping) work.second(std::move(finding), duration_ns);
    // Helpers beyond the first leave when nothing waits.
    if (state->threads > 1 && state->queue.empty()) {
      --state->threads;
      return;
    }
  }
}

}  // namespace faultline
