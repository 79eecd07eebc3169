#include "common/statfs_pool.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace faultline {

// Shared by the pool and the thread; whoever leaves last frees it.
struct StatfsPool::Worker {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> paths;
  std::vector<Answer> answers;
  size_t done = 0;        // answers that are there
  bool given_up = false;  // the thread ends as soon as it can
  bool ended = false;
  std::function<int(const char*, struct statfs*)> call;

  void Run() {
    std::unique_lock lock(mutex);
    while (!given_up) {
      if (done == paths.size()) {
        changed.wait(lock, [&] { return given_up || done < paths.size(); });
        continue;
      }
      const std::string path = paths[done];
      lock.unlock();
      Answer answer;
      const int result = call(path.c_str(), &answer.usage);
      answer.state = result == 0 ? Answer::State::kGood : Answer::State::kFailed;
      lock.lock();
      if (given_up) break;
      answers[done++] = answer;
      if (done == paths.size()) changed.notify_all();
    }
    ended = true;
  }
};

StatfsPool::StatfsPool(Options options) : options_(std::move(options)) {
  if (!options_.statfs_call) {
    options_.statfs_call = [](const char* path, struct statfs* usage) {
      return statfs(path, usage);
    };
  }
}

StatfsPool::~StatfsPool() {
  if (!active_) return;
  std::lock_guard lock(active_->mutex);
  active_->given_up = true;
  active_->changed.notify_all();
}

void StatfsPool::ForgetReturned() {
  std::erase_if(stuck_, [](const Stuck& stuck) {
    std::lock_guard lock(stuck.worker->mutex);
    return stuck.worker->ended;
  });
}

void StatfsPool::StartWorker() {
  active_ = std::make_shared<Worker>();
  active_->call = options_.statfs_call;
  std::thread([worker = active_] { worker->Run(); }).detach();
}

std::vector<StatfsPool::Answer> StatfsPool::Ask(std::span<const std::string> paths) {
  ForgetReturned();
  std::vector<Answer> answers(paths.size());  // stuck, until told otherwise
  std::vector<size_t> asked;
  for (size_t i = 0; i < paths.size(); ++i) {
    const bool is_stuck = std::any_of(stuck_.begin(), stuck_.end(),
                                      [&](const Stuck& stuck) { return stuck.path == paths[i]; });
    if (!is_stuck) asked.push_back(i);
  }
  size_t next = 0;  // in `asked`
  while (next < asked.size() && stuck_.size() < options_.max_stuck) {
    if (!active_) StartWorker();
    std::unique_lock lock(active_->mutex);
    active_->paths.clear();
    for (size_t i = next; i < asked.size(); ++i) active_->paths.push_back(paths[asked[i]]);
    active_->answers.assign(active_->paths.size(), Answer());
    active_->done = 0;
    active_->changed.notify_all();
    // Patience is per path: as long as answers come, the worker is well.
    size_t seen = 0;
    bool well = true;
    while (well && active_->done < active_->paths.size()) {
      const bool all = active_->changed.wait_for(
          lock, options_.patience, [&] { return active_->done == active_->paths.size(); });
      well = all || std::exchange(seen, active_->done) != active_->done;
    }
    for (size_t i = 0; i < active_->done; ++i) answers[asked[next + i]] = active_->answers[i];
    next += active_->done;
    if (active_->done == active_->paths.size()) break;
    active_->given_up = true;
    stuck_.push_back({paths[asked[next]], active_});
    ++next;
    lock.unlock();
    active_.reset();
  }
  return answers;
}

}  // namespace faultline
