#include "aggregator/checks/change_sender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "tests/support/memory_documents.h"

namespace faultline {
namespace {

using ::testing::ElementsAre;

// The other side: refuses while told to, and remembers what it took.
class Receiver {
 public:
  Result<void> Take(const std::string& body) {
    const std::lock_guard lock(mutex_);
    ++asked_;
    if (!refuses_) taken_.push_back(body);
    changed_.notify_all();
    if (refuses_) return Fail(ErrorCode::kUnavailable, "HTTP status 503");
    return {};
  }
  void Refuse(bool refuse) {
    const std::lock_guard lock(mutex_);
    refuses_ = refuse;
  }
  bool WaitAsked(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return asked_ >= count; });
  }
  bool WaitTaken(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10),
                             [&] { return taken_.size() >= count; });
  }
  std::vector<std::string> taken() {
    const std::lock_guard lock(mutex_);
    return taken_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t asked_ = 0;
  bool refuses_ = false;
  std::vector<std::string> taken_;
};

class ChangeSenderTest : public ::testing::Test {
 protected:
  std::unique_ptr<ChangeSender> Start() {
    auto sender = std::make_unique<ChangeSender>(
        [this](const std::string& body) { return receiver_.Take(body); }, &store_, &metrics_,
        kNsPerMs);
    EXPECT_TRUE(sender->Load());
    sender->Start();
    return sender;
  }
  MemoryDocuments store_;
  SelfMetrics metrics_;
  Receiver receiver_;
};

TEST_F(ChangeSenderTest, WhatWasRefusedIsToldInOrder) {
  receiver_.Refuse(true);
  const auto sender = Start();
  sender->Add("a");
  sender->Add("b");
  ASSERT_TRUE(receiver_.WaitAsked(3));
  receiver_.Refuse(false);
  ASSERT_TRUE(receiver_.WaitTaken(2));
  EXPECT_THAT(receiver_.taken(), ElementsAre("a", "b"));
}

TEST_F(ChangeSenderTest, WhatWaitedIsToldByTheNextOne) {
  receiver_.Refuse(true);
  {
    const auto sender = Start();
    for (const char* body : {"a", "b", "c"}) sender->Add(body);
    ASSERT_TRUE(receiver_.WaitAsked(1));
  }
  receiver_.Refuse(false);
  {
    const auto sender = Start();
    sender->Add("d");
    ASSERT_TRUE(receiver_.WaitTaken(4));
  }
  EXPECT_THAT(receiver_.taken(), ElementsAre("a", "b", "c", "d"));
  EXPECT_TRUE(store_.ListDocuments("webhook")->empty());
}

TEST_F(ChangeSenderTest, TheOldestGoFirstWhenTooManyWait) {
  receiver_.Refuse(true);
  constexpr int kMore = 1007;
  {
    const auto sender = Start();
    for (int i = 0; i < kMore; ++i) sender->Add(std::to_string(i));
  }
  EXPECT_EQ(store_.ListDocuments("webhook")->size(), 1000u);
  receiver_.Refuse(false);
  const auto sender = Start();
  ASSERT_TRUE(receiver_.WaitTaken(1000));
  EXPECT_EQ(receiver_.taken().front(), "7");
  EXPECT_EQ(receiver_.taken().back(), "1006");
}

}  // namespace
}  // namespace faultline
