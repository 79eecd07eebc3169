// statfs(2) that a dead mount cannot hold up. A worker thread asks one path after the other; when
// one path does not answer in time it is given up as stuck, its worker is left waiting there, and a
// new worker asks the rest. A stuck path is not asked again until its old question returned, so
// threads are bounded by max_stuck + 1 for ever.
#pragma once

#include <sys/vfs.h>

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace faultline {

class StatfsPool {
 public:
  struct Options {
    std::chrono::milliseconds patience{500};  // with one path
    size_t max_stuck = 8;  // beyond it nothing more is asked: every path is answered as stuck
    std::function<int(const char*, struct statfs*)> statfs_call;  // for tests; default statfs(2)
  };
  struct Answer {
    enum class State { kGood, kFailed, kStuck };
    State state = State::kStuck;
    struct statfs usage{};
  };

  explicit StatfsPool(Options options);
  StatfsPool() : StatfsPool(Options()) {}
  // Does not wait for workers that are stuck: they end by themselves when the kernel lets them go.
  ~StatfsPool();
  StatfsPool(const StatfsPool&) = delete;
  StatfsPool& operator=(const StatfsPool&) = delete;

  // One answer per path, in order. Not thread-safe.
  std::vector<Answer> Ask(std::span<const std::string> paths);
  // Paths whose question never returned so far.
  size_t stuck() const { return stuck_.size(); }

 private:
  struct Worker;
  struct Stuck {
    std::string path;
    std::shared_ptr<Worker> worker;
  };
  void ForgetReturned();
  void StartWorker();

  Options options_;
  std::shared_ptr<Worker> active_;
  std::vector<Stuck> stuck_;
};

}  // namespace faultline
