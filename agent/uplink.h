// Carries batches from the spool to the aggregator by common/WIRE.md: at least once, in order, a window of them in flight,
// and beside them as much of the backlog as the spool allows.
//
//   waiting --retry is due--> greeting --HelloReply--> streaming
//      ^  ^----no reply---------'  ^------any reject------'|
//      '--------------------silence------------------------'
//
// Any doubt (a gap, a lost definition, an overloaded store) is settled by saying hello again: the reply says what the
// aggregator has, and the agent goes on from there. Does no waiting of its own: Step() does all that is possible now.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "agent/spool.h"
#include "common/clock.h"
#include "common/transport.h"
#include "faultline/v1/control.pb.h"

namespace faultline {

struct UplinkOptions {
  std::string node;
  std::string version;
  std::string boot_id;
  int64_t reconnect_min_ns = 100 * kNsPerMs;
  int64_t reconnect_max_ns = 5 * kNsPerSecond;
  int64_t heartbeat_ns = kNsPerSecond;
  int64_t silence_ns = 6 * kNsPerSecond;   // without a word the connection is taken for dead
  int64_t acknowledge_ns = 5 * kNsPerSecond;  // without progress we ask where the aggregator is
  uint32_t max_batches_in_flight = 32;
  size_t max_queued_replies = 256;
  uint64_t seed = 0;                       // of the jitter
};

// Executes what the aggregator orders. `reply` is called once, on the agent's thread.
class CommandExecutor {
 public:
  virtual ~CommandExecutor() = default;
  virtual void Execute(v1::Command command, std::function<void(v1::CommandReply)> reply) = 0;
};

class Uplink {
 public:
  enum class State { kWaiting, kGreeting, kStreaming };
  struct Counters {
    uint64_t batches_sent = 0;
    uint64_t bytes_sent = 0;
    uint64_t reconnects = 0;
    uint64_t replies_dropped = 0;
    std::map<std::string, uint64_t> rejects;  // by reason
  };

  // All outlive the uplink. `commands` may be null: then commands are answered with unsupported.
  Uplink(UplinkOptions options, const Clock* clock, ClientTransport* transport, Spool* spool,
         CommandExecutor* commands);

  // Receives, times out, sends. Returns the steady time at which it wants to be called again at the latest; call it as
  // well when the transport is readable and when the spool got a batch.
  int64_t Step();
  // Catalogue names of what runs here, told in the next hello: fault/cpu_stress, probe/syscalls …
  void SetCapabilities(std::vector<std::string> capabilities) { capabilities_ = std::move(capabilities); }
  void OnHeartbeatReply(std::function<void()> call) { on_heartbeat_reply_ = std::move(call); }

  State state() const { return state_; }
  bool connected() const { return state_ == State::kStreaming; }
  const Counters& counters() const { return counters_; }
  // The aggregator's clock less ours, by the last heartbeat.
  int64_t clock_offset_ns() const { return clock_offset_ns_; }
  const std::string& last_refusal() const { return last_refusal_; }

 private:
  // What the aggregator has of a session, and how far we are in sending it.
  struct Progress {
    uint64_t sent = 0;        // sequence of the last batch sent or known durable
    uint32_t series = 0;      // definitions known there
    uint32_t streams = 0;
    std::deque<size_t> in_flight;  // bytes of each batch
  };

  void Receive();
  void Take(const WireMessage& message);
  void TakeHelloReply(const v1::HelloReply& reply);
  void TakeAck(const v1::Ack& ack);
  void TakeReject(const v1::Reject& reject);
  void TakeCommand(v1::Command command);
  void TakeHeartbeatReply(const v1::HeartbeatReply& reply);
  void SendHello();
  void SendWindow();
  // False: the next lane must wait, too.
  bool SendLane(Lane lane);
  bool HasRoom(Lane lane, const Progress& progress) const;
  uint32_t InFlight() const;
  // False: nothing more can be sent now.
  bool SendNext(uint64_t session, Progress& progress);
  bool SendDefinitions(const Spool::SpooledBatch& batch, Progress& progress);
  void GiveUp(uint64_t session, uint64_t sequence, std::string_view why);
  void SendReplies();
  bool Send(MessageKind kind, std::string payload);
  void Disconnect(std::string_view why);
  void GreetAgain(int64_t delay_ns, std::string_view why);
  int64_t Backoff();
  uint32_t Window() const;

  const UplinkOptions options_;
  const Clock* const clock_;
  ClientTransport* const transport_;
  Spool* const spool_;
  CommandExecutor* const commands_;
  std::function<void()> on_heartbeat_reply_;
  std::mt19937_64 random_;
  std::vector<std::string> capabilities_;

  State state_ = State::kWaiting;
  int64_t retry_at_ns_ = 0;
  int64_t heard_at_ns_;          // last word of the peer, or when we began to listen
  int64_t heartbeat_at_ns_ = 0;  // when the next one is due
  int64_t progress_at_ns_ = 0;   // last acknowledgement, or when the first of those in flight left
  int attempts_ = 0;             // since the last acknowledgement or quiet reply
  uint32_t peer_window_ = 0;
  uint32_t peer_max_batch_bytes_ = 0;
  std::map<uint64_t, Progress> progress_;  // by session
  std::map<std::pair<uint64_t, uint64_t>, int> refused_;  // times a batch was refused for what is in it
  std::deque<v1::CommandReply> replies_;
  // Replies may come when the uplink is gone.
  std::shared_ptr<Uplink*> self_ = std::make_shared<Uplink*>(this);
  Counters counters_;
  int64_t clock_offset_ns_ = 0;
  std::string last_refusal_;

 public:
  ~Uplink() { *self_ = nullptr; }
};

}  // namespace faultline
