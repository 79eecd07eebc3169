#include "aggregator/fleet.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

class FleetTest : public testing::Test {
 protected:
  FleetTest() {
    fleet_.SetSender([this](const std::string&, const v1::Command& command) -> Result<void> {
      sent_.push_back(command);
      return {};
    });
  }
  void Hello(const std::string& node) {
    v1::Hello hello;
    hello.set_node(node);
    hello.set_session(7);
    fleet_.OnHello(node, hello);
  }

  ManualClock clock_{1'000'000 * kNsPerSecond};
  Fleet fleet_{&clock_, 15 * kNsPerSecond};
  std::vector<v1::Command> sent_;
};

TEST_F(FleetTest, ASilentNodeIsDown) {
  Hello("a");
  EXPECT_TRUE(fleet_.Node("a")->up);
  clock_.Advance(16 * kNsPerSecond);
  EXPECT_FALSE(fleet_.Node("a")->up);
  fleet_.OnHeartbeat("a", {});
  EXPECT_TRUE(fleet_.Node("a")->up);
  EXPECT_EQ(fleet_.Node("b").error().code, ErrorCode::kNotFound);
}

TEST_F(FleetTest, TheClockOffsetIsTheLeastDelayedOne) {
  Hello("a");
  // The node is 500 ms ahead; its messages take 1 to 40 ms.
  for (const int64_t delay_ms : {20, 1, 40}) {
    fleet_.OnClock("a", (500 - delay_ms) * kNsPerMs, 0);
    clock_.Advance(kNsPerSecond);
  }
  EXPECT_EQ(fleet_.Node("a")->clock_offset_ns, 499 * kNsPerMs);
  // A clock that was set back is believed after a minute.
  clock_.Advance(61 * kNsPerSecond);
  fleet_.OnClock("a", 90 * kNsPerMs, 0);
  EXPECT_EQ(fleet_.Node("a")->clock_offset_ns, 90 * kNsPerMs);
}

TEST_F(FleetTest, ACommandIsAnsweredOnce) {
  Hello("a");
  int answers = 0;
  fleet_.Send("a", {}, [&](Result<v1::CommandReply> reply) {
    ++answers;
    EXPECT_TRUE(reply);
  });
  ASSERT_EQ(sent_.size(), 1u);
  v1::CommandReply reply;
  reply.set_id(sent_[0].id());
  fleet_.OnReply("b", reply);  // not the node that was asked
  EXPECT_EQ(answers, 0);
  fleet_.OnReply("a", reply);
  fleet_.OnReply("a", reply);
  EXPECT_EQ(answers, 1);
}

TEST_F(FleetTest, ACommandWithoutAnswerTimesOut) {
  Hello("a");
  std::optional<Error> error;
  fleet_.Send("a", {}, [&](Result<v1::CommandReply> reply) { error = reply.error(); });
  clock_.Advance(31 * kNsPerSecond);
  fleet_.ExpireCommands();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, ErrorCode::kTimeout);
}

TEST_F(FleetTest, NobodyToAskIsSaidAtOnce) {
  EXPECT_EQ(fleet_.Call("ghost", {}).error().code, ErrorCode::kNotFound);
  Hello("a");
  clock_.Advance(60 * kNsPerSecond);
  EXPECT_EQ(fleet_.Call("a", {}).error().code, ErrorCode::kUnavailable);
}

TEST_F(FleetTest, AnErrorReplyKeepsItsCode) {
  Hello("a");
  std::optional<Error> error;
  fleet_.Send("a", {}, [&](Result<v1::CommandReply> reply) { error = reply.error(); });
  v1::CommandReply reply;
  reply.set_id(sent_[0].id());
  reply.set_error_code("unsupported");
  reply.set_error_message("no such fault");
  fleet_.OnReply("a", reply);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace faultline
