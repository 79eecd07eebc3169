#include "common/statfs_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>

namespace faultline {
namespace {

using State = StatfsPool::Answer::State;

// Plays a kernel in which some mounts hang until they are let go.
class Mounts {
 public:
  StatfsPool::Options Options() {
    StatfsPool::Options options;
    options.patience = std::chrono::milliseconds(50);
    options.max_stuck = 2;
    options.statfs_call = [this](const char* path, struct statfs* usage) {
      return Call(path, usage);
    };
    return options;
  }
  void Hang(const std::string& path) {
    std::lock_guard lock(mutex_);
    hanging_.insert(path);
  }
  void LetGo() {
    std::lock_guard lock(mutex_);
    hanging_.clear();
    changed_.notify_all();
  }
  void WaitUntilIdle() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return inside_ == 0; });
  }
  size_t inside() {
    std::lock_guard lock(mutex_);
    return inside_;
  }

 private:
  int Call(const std::string& path, struct statfs* usage) {
    std::unique_lock lock(mutex_);
    ++inside_;
    changed_.wait(lock, [&] { return !hanging_.contains(path); });
    --inside_;
    changed_.notify_all();
    usage->f_blocks = path.size();
    return path == "/bad" ? -1 : 0;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> hanging_;
  size_t inside_ = 0;
};

std::vector<State> States(const std::vector<StatfsPool::Answer>& answers) {
  std::vector<State> states;
  for (const auto& answer : answers) states.push_back(answer.state);
  return states;
}

TEST(StatfsPool, AnswersInOrder) {
  Mounts mounts;
  StatfsPool pool(mounts.Options());
  const std::vector<std::string> paths = {"/a", "/bad", "/abc"};
  const auto answers = pool.Ask(paths);
  EXPECT_EQ(States(answers), (std::vector{State::kGood, State::kFailed, State::kGood}));
  EXPECT_EQ(answers[2].usage.f_blocks, 4u);
  EXPECT_TRUE(pool.Ask({}).empty());
}

TEST(StatfsPool, DeadMountIsGivenUpAndComesBack) {
  Mounts mounts;
  mounts.Hang("/dead");
  {
    StatfsPool pool(mounts.Options());
    const std::vector<std::string> paths = {"/a", "/dead", "/b"};
    const std::vector stuck = {State::kGood, State::kStuck, State::kGood};
    EXPECT_EQ(States(pool.Ask(paths)), stuck);
    for (int round = 0; round < 1000; ++round) EXPECT_EQ(States(pool.Ask(paths)), stuck);
    EXPECT_EQ(pool.stuck(), 1u);
    EXPECT_EQ(mounts.inside(), 1u);  // one thread waits there, however often we came by
    mounts.LetGo();
    mounts.WaitUntilIdle();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (pool.Ask(paths)[1].state != State::kGood &&
           std::chrono::steady_clock::now() < deadline) {
    }
    EXPECT_EQ(pool.stuck(), 0u);
  }
}

TEST(StatfsPool, BoundsItsThreads) {
  Mounts mounts;
  const std::vector<std::string> paths = {"/1", "/2", "/3", "/4", "/live"};
  for (size_t i = 0; i < 4; ++i) mounts.Hang(paths[i]);
  {
    StatfsPool pool(mounts.Options());
    const std::vector<State> all_stuck(5, State::kStuck);
    EXPECT_EQ(States(pool.Ask(paths)), all_stuck);
    EXPECT_EQ(States(pool.Ask(paths)), all_stuck);
    EXPECT_EQ(mounts.inside(), 2u);
  }
  mounts.LetGo();
  mounts.WaitUntilIdle();
}

}  // namespace
}  // namespace faultline
