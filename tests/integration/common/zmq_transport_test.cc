// Real sockets on loopback: what passes, and who is refused.
#include "common/zmq_transport.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>

namespace faultline {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class ZmqTransport : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/faultline-keys-XXXXXX";
    folder_ = mkdtemp(name);
    std::filesystem::create_directory(folder_ + "/agents");
    server_keys_ = *MakeCurveKeyPair();
    Write("aggregator.secret", server_keys_.secret_key);
    Write("aggregator.public", server_keys_.public_key);
    Allow("n1");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& key) {
    std::ofstream(folder_ + "/" + name) << key << "\n";
    chmod((folder_ + "/" + name).c_str(), 0600);
  }
  void Allow(const std::string& node) {
    const auto pair = *MakeCurveKeyPair();
    Write(node + ".secret", pair.secret_key);
    Write("agents/" + node + ".public", pair.public_key);
  }
  void Serve() {
    ZmqServerOptions options{.listen = "tcp://127.0.0.1:*", .keys = folder_, .on_refused = [this](const auto&) { ++refused_; }};
    auto server = MakeZmqServer(options);
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
  }
  std::unique_ptr<ClientTransport> Connect(ZmqClientOptions options) {
    options.endpoints = {server_->endpoint()};
    return *MakeZmqClient(options);
  }
  // Sends until the connection stands and the server has it.
  std::optional<ServerTransport::Incoming> Deliver(ClientTransport& client, const WireMessage& message) {
    const auto deadline = steady_clock::now() + milliseconds(5000);
    bool sent = false;
    while (steady_clock::now() < deadline && !(refused_ > 0 && !sent)) {
      if (!sent) sent = client.Send(message).has_value();
      if (auto incoming = server_->Receive(20)) return incoming;
    }
    return std::nullopt;
  }

  std::string folder_;
  CurveKeyPair server_keys_;
  std::unique_ptr<ServerTransport> server_;
  std::atomic<int> refused_ = 0;
};

TEST_F(ZmqTransport, CarriesBothWaysAndNamesTheNode) {
  Serve();
  auto client = Connect(*ClientKeys(folder_, "n1"));
  const auto incoming = Deliver(*client, {MessageKind::kHeartbeat, "ping"});
  ASSERT_TRUE(incoming);
  ASSERT_TRUE(incoming->message);
  EXPECT_EQ(incoming->node, "n1");
  EXPECT_EQ(incoming->message->payload, "ping");
  ASSERT_TRUE(server_->Send(incoming->peer, {MessageKind::kHeartbeatReply, "pong"}));
  std::optional<Result<WireMessage>> reply;
  for (int i = 0; i < 250 && !reply; ++i) {
    pollfd waiting{client->fd(), POLLIN, 0};
    poll(&waiting, 1, 20);
    reply = client->Receive();
  }
  ASSERT_TRUE(reply && *reply);
  EXPECT_EQ((*reply)->payload, "pong");
}

TEST_F(ZmqTransport, RefusesAKeyThatIsNotListed) {
  Serve();
  auto options = *ClientKeys(folder_, "n1");
  const auto stranger = *MakeCurveKeyPair();
  options.public_key = stranger.public_key;
  options.secret_key = stranger.secret_key;
  auto client = Connect(options);
  EXPECT_FALSE(Deliver(*client, {MessageKind::kHeartbeat, "ping"}));
  EXPECT_GT(refused_, 0);
}

TEST_F(ZmqTransport, AddingANodeNeedsNoRestart) {
  Serve();
  Allow("n2");
  auto client = Connect(*ClientKeys(folder_, "n2"));
  const auto incoming = Deliver(*client, {MessageKind::kHeartbeat, "ping"});
  ASSERT_TRUE(incoming);
  EXPECT_EQ(incoming->node, "n2");
}

TEST_F(ZmqTransport, SecretsOpenToAllAreRefused) {
  chmod((folder_ + "/n1.secret").c_str(), 0644);
  const auto options = ClientKeys(folder_, "n1");
  ASSERT_FALSE(options);
  EXPECT_EQ(options.error().code, ErrorCode::kPermissionDenied);
}

TEST_F(ZmqTransport, WakeEndsAWait) {
  Serve();
  server_->Wake();
  const auto begin = steady_clock::now();
  EXPECT_FALSE(server_->Receive(5000));
  EXPECT_LT(steady_clock::now() - begin, milliseconds(2500));
}

TEST(Frame, RefusesOtherVersionsAndNoise) {
  std::string frame = EncodeFrame({MessageKind::kAck, "x"});
  EXPECT_EQ(DecodeFrame(frame)->payload, "x");
  frame[2] = 9;
  EXPECT_EQ(DecodeFrame(frame).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(DecodeFrame("FL").error().code, ErrorCode::kCorruption);
  EXPECT_EQ(DecodeFrame("GET / HTTP/1.1").error().code, ErrorCode::kCorruption);
}

TEST(Frame, DecompressionIsBounded) {
  const std::string zeros(1 << 20, '\0');
  const std::string compressed = Compress(zeros);
  EXPECT_EQ(*Decompress(compressed, 1 << 20), zeros);
  EXPECT_EQ(Decompress(compressed, 1 << 10).error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(Decompress("nonsense", 1 << 10).error().code, ErrorCode::kCorruption);
}

}  // namespace
}  // namespace faultline
