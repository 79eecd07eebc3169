// Threads that run what may block, behind one bounded queue. Threads start when there is work for them. `nice` lets those
// of others of this process go first (setpriority(2) is per thread on Linux).
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace faultline {

class WorkerPool {
 public:
  using Job = std::move_only_function<void()>;

  WorkerPool(size_t max_threads, size_t max_queued_jobs, int nice = 0);
  ~WorkerPool();
  // False when the queue is full or the pool has stopped; the job is dropped then.
  bool TryRun(Job job);
  // Drops what is queued and joins; jobs that run finish first.
  void Stop();
  size_t queued() const;

 private:
  void Work();

  const size_t max_threads_;
  const size_t max_queued_jobs_;
  const int nice_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Job> jobs_;
  std::vector<std::jthread> threads_;
  size_t idle_ = 0;
  bool stopped_ = false;
};

}  // namespace faultline
