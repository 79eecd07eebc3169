#include "aggregator/query/parallel.h"

#include <sys/resource.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace faultline::promql {
namespace {

constexpr int kNice = 5;  // as the API's own threads for queries: ingest goes first

// One loop under way. A helper that finds nothing left to begin goes away at once; the caller waits
// only for parts that were begun, so a loop never depends on a helper that has not come yet.
struct Loop {
  Loop(size_t c, size_t g, const std::function<Result<void>(size_t, size_t)>& t)
      : count(c), grain(g), task(t) {}

  const size_t count;
  const size_t grain;
  const std::function<Result<void>(size_t, size_t)>&
      task;  // alive while running > 0 or the caller waits
  std::mutex mutex;
  std::condition_variable idle;
  size_t next = 0;
  size_t running = 0;
  Result<void> outcome;  // the first failure

  void Work() {
    std::unique_lock lock(mutex);
    while (next < count && outcome) {
      const size_t from = next;
      next = std::min(count, from + grain);
      ++running;
      lock.unlock();
      Result<void> done = task(from, std::min(count, from + grain));
      lock.lock();
      if (!done && outcome) outcome = std::move(done);
      --running;
    }
    if (running == 0) idle.notify_all();
  }
  void Wait() {
    std::unique_lock lock(mutex);
    idle.wait(lock, [&] { return running == 0; });
  }
};

class Crew {
 public:
  static Crew& Get() {
    static Crew crew;
    return crew;
  }
  void Ask(const std::shared_ptr<Loop>& loop, size_t helpers) {
    {
      std::lock_guard lock(mutex_);
      for (size_t i = 0; i < helpers; ++i) wanted_.push_back(loop);
    }
    wake_.notify_all();
  }

 private:
  Crew() {
    const size_t threads = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, 16);
    for (size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this](std::stop_token stop) { Run(stop); });
    }
  }
  void Run(const std::stop_token& stop) {
    setpriority(PRIO_PROCESS, 0, kNice);  // of this thread
    std::unique_lock lock(mutex_);
    while (wake_.wait(lock, stop, [&] { return !wanted_.empty(); })) {
      const std::shared_ptr<Loop> loop = std::move(wanted_.front());
      wanted_.pop_front();
      lock.unlock();
      loop->Work();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::shared_ptr<Loop>> wanted_;
  std::vector<std::jthread> threads_;  // last: they use all of the above
};

}  // namespace

Result<void> RunParallel(size_t count, size_t grain, size_t max_threads,
                         const std::function<Result<void>(size_t from, size_t to)>& task) {
  const auto loop = std::make_shared<Loop>(count, grain, task);
  const size_t parts = (count + grain - 1) / grain;
  if (parts > 1 && max_threads > 1) Crew::Get().Ask(loop, std::min(parts, max_threads) - 1);
  loop->Work();
  loop->Wait();
  return loop->outcome;
}

}  // namespace faultline::promql
