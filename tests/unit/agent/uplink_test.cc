#include "agent/uplink.h"

#include <gtest/gtest.h>

#include <deque>

namespace faultline {
namespace {

// The other end, by hand.
class ScriptedTransport final : public ClientTransport {
 public:
  int fd() const override { return -1; }
  Result<void> Send(const WireMessage& message) override {
    if (!connected) return Fail(ErrorCode::kUnavailable, "nobody there");
    sent.push_back(message);
    return {};
  }
  std::optional<Result<WireMessage>> Receive() override {
    if (inbox.empty()) return std::nullopt;
    auto next = std::move(inbox.front());
    inbox.pop_front();
    return next;
  }
  Result<void> Reconnect() override {
    ++reconnects;
    return {};
  }
  template <typename Message>
  void Put(MessageKind kind, const Message& message) {
    inbox.push_back(WireMessage{kind, message.SerializeAsString()});
  }
  std::vector<WireMessage> Take(MessageKind kind) {
    std::vector<WireMessage> taken;
    for (auto& message : sent) {
      if (message.kind == kind) taken.push_back(message);
    }
    std::erase_if(sent, [kind](const WireMessage& message) { return message.kind == kind; });
    return taken;
  }

  bool connected = true;
  int reconnects = 0;
  std::vector<WireMessage> sent;
  std::deque<Result<WireMessage>> inbox;
};

class UplinkTest : public ::testing::Test {
 protected:
  UplinkTest() : spool_(*Spool::Open({.folder = ""})) {
    UplinkOptions options;
    options.node = "n";
    options.max_batches_in_flight = 4;
    uplink_ = std::make_unique<Uplink>(options, &clock_, &transport_, spool_.get(), &commands_);
  }
  struct Commands final : CommandExecutor {
    void Execute(v1::Command command, std::function<void(v1::CommandReply)> reply) override {
      commands.push_back(command);
      replies.push_back(std::move(reply));
    }
    std::vector<v1::Command> commands;
    std::vector<std::function<void(v1::CommandReply)>> replies;
  };

  void Fill(int batches) {
    for (int i = 0; i < batches; ++i) {
      v1::Batch batch;
      auto* definition = batch.add_series();
      definition->set_ref(++refs_);
      definition->set_name("m");
      ASSERT_TRUE(spool_->Put(batch, 1));
    }
  }
  void Greet(uint64_t committed, uint32_t series) {
    uplink_->Step();
    ASSERT_EQ(transport_.Take(MessageKind::kHello).size(), 1u);
    v1::HelloReply reply;
    auto* session = reply.add_sessions();
    session->set_session(spool_->session());
    session->set_committed_sequence(committed);
    session->set_series_known(series);
    transport_.Put(MessageKind::kHelloReply, reply);
    uplink_->Step();
  }
  std::vector<v1::Batch> SentBatches() {
    std::vector<v1::Batch> batches;
    for (const auto& message : transport_.Take(MessageKind::kBatch)) {
      EXPECT_TRUE(batches.emplace_back().ParseFromString(*Decompress(message.payload, 1 << 20)));
    }
    return batches;
  }
  void Acknowledge(uint64_t sequence) {
    v1::Ack ack;
    ack.set_session(spool_->session());
    ack.set_committed_sequence(sequence);
    transport_.Put(MessageKind::kAck, ack);
    uplink_->Step();
  }

  ManualClock clock_{1'700'000'000 * kNsPerSecond};
  ScriptedTransport transport_;
  std::unique_ptr<Spool> spool_;
  Commands commands_;
  std::unique_ptr<Uplink> uplink_;
  uint32_t refs_ = 0;
};

TEST_F(UplinkTest, SendsAWindowAndGoesOnWithEachAcknowledgement) {
  Fill(10);
  Greet(0, 0);
  EXPECT_EQ(SentBatches().size(), 4u);
  Acknowledge(2);
  const auto next = SentBatches();
  ASSERT_EQ(next.size(), 2u);
  EXPECT_EQ(next[0].sequence(), 5u);
  EXPECT_EQ(spool_->batches(), 8u);
}

TEST_F(UplinkTest, TheBacklogIsSentBesideTheRestAndWithinItsOwnRoom) {
  std::vector<uint64_t> backlog;
  for (uint64_t i = 1; i <= 10; ++i) {
    v1::Batch batch;
    batch.add_logs()->set_file_id(i);
    ASSERT_TRUE(spool_->Put(Lane::kBacklog, batch, 1));
    backlog = {batch.session()};
  }
  uplink_->Step();
  const auto hello = transport_.Take(MessageKind::kHello);
  v1::Hello said;
  ASSERT_TRUE(said.ParseFromString(hello.at(0).payload));
  EXPECT_EQ(std::vector(said.spooled_sessions().begin(), said.spooled_sessions().end()), backlog);
  v1::HelloReply reply;
  for (const uint64_t session : {spool_->session(), backlog[0]}) reply.add_sessions()->set_session(session);
  transport_.Put(MessageKind::kHelloReply, reply);
  uplink_->Step();
  const auto first = SentBatches();
  EXPECT_EQ(first.size(), 4u) << "a window of four";
  EXPECT_EQ(first[0].session(), backlog[0]);
  // It is full; what is prompt does not wait for it.
  Fill(2);
  uplink_->Step();
  const auto prompt = SentBatches();
  ASSERT_EQ(prompt.size(), 2u);
  EXPECT_EQ(prompt[0].session(), spool_->session());
  EXPECT_EQ(prompt[0].sequence(), 1u);
}

TEST_F(UplinkTest, SkipsWhatIsCommittedAndSendsDefinitionsThatAreMissing) {
  Fill(5);
  Greet(3, 1);
  const auto definitions = transport_.Take(MessageKind::kDefinitions);
  ASSERT_EQ(definitions.size(), 1u);
  v1::Definitions parsed;
  ASSERT_TRUE(parsed.ParseFromString(*Decompress(definitions[0].payload, 1 << 20)));
  ASSERT_EQ(parsed.series_size(), 2);
  EXPECT_EQ(parsed.series(0).ref(), 2u);
  EXPECT_EQ(parsed.series(1).ref(), 3u);
  const auto batches = SentBatches();
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0].sequence(), 4u);
  EXPECT_EQ(batches[0].previous_sequence(), 3u);
  EXPECT_EQ(spool_->batches(), 2u);
}

TEST_F(UplinkTest, AJumpOfTheSpoolIsSaidInTheBatch) {
  Fill(3);
  ASSERT_TRUE(spool_->Discard(spool_->session(), 1));
  ASSERT_TRUE(spool_->Discard(spool_->session(), 2));
  Greet(0, 0);
  const auto batches = SentBatches();
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].sequence(), 3u);
  EXPECT_EQ(batches[0].previous_sequence(), 0u);
  EXPECT_EQ(transport_.Take(MessageKind::kDefinitions).size(), 1u);
}

TEST_F(UplinkTest, AnAggregatorCannotMakeUsForgetWhatItNeverGot) {
  Fill(2);
  Greet(0, 0);
  (void)SentBatches();
  Acknowledge(1'000'000);
  EXPECT_EQ(spool_->batches(), 0u);
  Fill(1);
  uplink_->Step();
  EXPECT_EQ(SentBatches().size(), 1u);
  EXPECT_EQ(spool_->batches(), 1u);
}

TEST_F(UplinkTest, OverloadBacksOffAndKeepsTheBatch) {
  Fill(1);
  Greet(0, 0);
  v1::Reject reject;
  reject.set_reason(v1::REJECT_REASON_OVERLOADED);
  transport_.Put(MessageKind::kReject, reject);
  const int64_t again = uplink_->Step();
  EXPECT_GT(again, clock_.SteadyNs());
  EXPECT_TRUE(transport_.Take(MessageKind::kHello).empty());
  EXPECT_EQ(spool_->batches(), 1u);
  clock_.Advance(again - clock_.SteadyNs());
  uplink_->Step();
  EXPECT_EQ(transport_.Take(MessageKind::kHello).size(), 1u);
}

TEST_F(UplinkTest, ABatchThatIsRefusedAgainAndAgainIsGivenUp) {
  Fill(2);
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(10 * kNsPerSecond);
    Greet(0, 0);
    v1::Reject reject;
    reject.set_reason(v1::REJECT_REASON_CORRUPT);
    reject.set_session(spool_->session());
    reject.set_sequence(1);
    transport_.Put(MessageKind::kReject, reject);
    uplink_->Step();
  }
  (void)SentBatches();
  EXPECT_EQ(spool_->counters().dropped_batches, 1u);
  clock_.Advance(10 * kNsPerSecond);
  Greet(0, 0);
  const auto batches = SentBatches();
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].sequence(), 2u);
  EXPECT_EQ(batches[0].previous_sequence(), 0u);
}

TEST_F(UplinkTest, ABatchThatIsTooLargeForTheOtherSideIsGivenUp) {
  Fill(2);
  uplink_->Step();
  v1::HelloReply reply;
  reply.add_sessions()->set_session(spool_->session());
  reply.set_max_batch_bytes(1);
  transport_.Put(MessageKind::kHelloReply, reply);
  uplink_->Step();
  EXPECT_TRUE(SentBatches().empty());
  EXPECT_EQ(spool_->counters().dropped_records, 2u);
}

TEST_F(UplinkTest, ARefusalWithoutANameIsOfTheOldestInFlight) {
  Fill(2);
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(10 * kNsPerSecond);
    Greet(0, 0);
    v1::Reject reject;
    reject.set_reason(v1::REJECT_REASON_CORRUPT);
    transport_.Put(MessageKind::kReject, reject);
    uplink_->Step();
  }
  EXPECT_EQ((*spool_->Read(spool_->session(), 1))->sequence, 2u);
}

TEST_F(UplinkTest, WithoutAnAcknowledgementWeAskAgain) {
  Fill(1);
  Greet(0, 0);
  for (int i = 0; i < 6; ++i) {
    clock_.Advance(kNsPerSecond);
    transport_.Put(MessageKind::kHeartbeatReply, v1::HeartbeatReply());
    uplink_->Step();
  }
  EXPECT_EQ(transport_.reconnects, 0);
  EXPECT_EQ(transport_.Take(MessageKind::kHello).size(), 1u);
}

TEST_F(UplinkTest, SilenceMakesANewConnectionWithGrowingPauses) {
  transport_.connected = true;
  int64_t longest = 0;
  for (int i = 0; i < 12; ++i) {
    const int64_t next = uplink_->Step();
    longest = std::max(longest, next - clock_.SteadyNs());
    clock_.Advance(std::max<int64_t>(next - clock_.SteadyNs(), 1));
  }
  EXPECT_GE(transport_.reconnects, 3);
  EXPECT_LE(longest, 7 * kNsPerSecond);
}

TEST_F(UplinkTest, HeartbeatsEverySecondAndTheirRepliesRenew) {
  Greet(0, 0);
  (void)transport_.Take(MessageKind::kHeartbeat);
  int renewed = 0;
  uplink_->OnHeartbeatReply([&] { ++renewed; });
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(kNsPerSecond);
    v1::HeartbeatReply reply;
    reply.set_heartbeat_clock_unix_ns(clock_.UnixNs() - 2 * kNsPerMs);
    reply.set_clock_unix_ns(clock_.UnixNs() + 500 * kNsPerMs);
    transport_.Put(MessageKind::kHeartbeatReply, reply);
    uplink_->Step();
  }
  EXPECT_EQ(transport_.Take(MessageKind::kHeartbeat).size(), 3u);
  EXPECT_EQ(renewed, 3);
  EXPECT_EQ(uplink_->clock_offset_ns(), 501 * kNsPerMs);
}

TEST_F(UplinkTest, CommandsAreExecutedAndAnsweredEvenAfterAReconnect) {
  Greet(0, 0);
  v1::Command command;
  command.set_id("c1");
  transport_.Put(MessageKind::kCommand, command);
  uplink_->Step();
  ASSERT_EQ(commands_.commands.size(), 1u);
  transport_.connected = false;
  v1::CommandReply reply;
  reply.set_id("c1");
  commands_.replies[0](reply);
  EXPECT_TRUE(transport_.Take(MessageKind::kCommandReply).empty());
  transport_.connected = true;
  uplink_->Step();
  EXPECT_EQ(transport_.Take(MessageKind::kCommandReply).size(), 1u);
  // A reply that comes when the uplink is gone is nobody's.
  uplink_.reset();
  commands_.replies[0](reply);
}

TEST_F(UplinkTest, NonsenseIsSurvived) {
  Greet(0, 0);
  for (int kind = 1; kind <= 10; ++kind) {
    transport_.inbox.push_back(WireMessage{static_cast<MessageKind>(kind), "\xff\xff\xff nonsense"});
  }
  transport_.inbox.push_back(Fail(ErrorCode::kCorruption, "not ours"));
  uplink_->Step();
  EXPECT_TRUE(uplink_->connected());
}

}  // namespace
}  // namespace faultline
