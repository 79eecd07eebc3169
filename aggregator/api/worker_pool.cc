#include "aggregator/api/worker_pool.h"

#include <sys/resource.h>

#include <utility>

namespace faultline {

WorkerPool::WorkerPool(size_t max_threads, size_t max_queued_jobs, int nice)
    : max_threads_(max_threads), max_queued_jobs_(max_queued_jobs), nice_(nice) {}

WorkerPool::~WorkerPool() { Stop(); }

bool WorkerPool::TryRun(Job job) {
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || jobs_.size() >= max_queued_jobs_) return false;
    jobs_.push_back(std::move(job));
    if (idle_ < jobs_.size() && threads_.size() < max_threads_) {
      threads_.emplace_back([this] { Work(); });
    }
  }
  ready_.notify_one();
  return true;
}

void WorkerPool::Work() {
  if (nice_ > 0) setpriority(PRIO_PROCESS, 0, nice_);
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    ready_.wait(lock, [&] { return stopped_ || !jobs_.empty(); });
    --idle_;
    if (stopped_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
}

void WorkerPool::Stop() {
  std::vector<std::jthread> threads;
  std::deque<Job> dropped;
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    threads.swap(threads_);
    dropped.swap(jobs_);
  }
  ready_.notify_all();
}

size_t WorkerPool::queued() const {
  std::lock_guard lock(mutex_);
  return jobs_.size();
}

}  // namespace faultline
