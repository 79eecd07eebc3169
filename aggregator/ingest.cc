// The loop alternates between messages from agents and outcomes from the store. Nothing here waits for the disk: a batch is
// queued with a callback, its outcome comes back through `outcomes_` and becomes an Ack or a Reject.
//
// Memory is bounded by max_batches_in_flight per session and by the transport's queues; a session that fails to commit is
// forgotten and loaded from the store again, which alone knows what is durable.

#include "aggregator/ingest.h"

#include <google/protobuf/arena.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "aggregator/otlp/otlp.h"
#include "aggregator/session.h"
#include "common/log.h"

namespace faultline {
namespace {

constexpr int kWaitMs = 100;
constexpr size_t kMaxSessionsPerNode = 16;
constexpr int64_t kPeerIdleNs = 60 * kNsPerSecond;
constexpr int64_t kStopNs = 5 * kNsPerSecond;
constexpr double kRateWindowS = 10;

v1::RejectReason ReasonOf(const Error& error) {
  switch (error.code) {
    case ErrorCode::kUnsupported:
      return v1::REJECT_REASON_PROTOCOL_VERSION;
    case ErrorCode::kNotFound:
      return v1::REJECT_REASON_UNKNOWN_REFERENCE;
    case ErrorCode::kResourceExhausted:
      return v1::REJECT_REASON_TOO_LARGE;
    default:
      return v1::REJECT_REASON_CORRUPT;
  }
}

}  // namespace

class Ingest::Loop {
 public:
  Loop(std::unique_ptr<ServerTransport> transport, Store* store, Fleet* fleet, SelfMetrics* metrics,
       const Clock* clock, const IngestOptions& options, IngestListeners listeners)
      : transport_(std::move(transport)),
        store_(store),
        fleet_(fleet),
        metrics_(metrics),
        clock_(clock),
        options_(options),
        listeners_(std::move(listeners)),
        batches_(metrics->GetCounter("faultline_ingest_batches_total", "Batches made durable.")),
        duplicates_(metrics->GetCounter("faultline_ingest_duplicate_batches_total",
                                        "Batches that were there already, acknowledged again.")),
        bytes_(metrics->GetCounter("faultline_ingest_received_bytes_total",
                                   "Compressed bytes of batches received.")),
        samples_(metrics->GetCounter("faultline_ingest_samples_total", "Samples handed to the store.")),
        latency_(metrics->GetHistogram("faultline_ingest_commit_duration_seconds",
                                       "From the reception of a batch to its durability.",
                                       {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5})) {
    outcomes_->transport = transport_.get();
    fleet_->SetSender([this](const std::string& node, const v1::Command& command) {
      return QueueCommand(node, command);
    });
  }

  void Start() {
    thread_ = std::thread([this] { Run(); });
  }

  void Stop() {
    stopping_ = true;
    transport_->Wake();
    if (thread_.joinable()) thread_.join();
    fleet_->SetSender(nullptr);
    const std::lock_guard lock(outcomes_->mutex);
    outcomes_->transport = nullptr;
  }

  std::string endpoint() const { return transport_->endpoint(); }

 private:
  struct Peer {
    std::string node;  // set by Hello
    int64_t last_steady_ns = 0;
  };
  struct Allowance {
    double samples = 0;
    int64_t steady_ns = 0;
  };
  struct Outcome {
    std::string peer;
    std::string node;
    uint64_t session = 0;
    uint64_t sequence = 0;
    size_t bytes = 0;
    int64_t received_steady_ns = 0;
    std::vector<v1::FaultTransition> faults;
    std::vector<v1::CheckResult> checks;
    Result<void> result;
  };

  // The way back from the store's threads; it outlives the loop if the store does.
  struct Outcomes {
    std::mutex mutex;
    std::vector<Outcome> queue;
    ServerTransport* transport = nullptr;  // null once the loop is gone
  };

  void Run() {
    int64_t stop_at = 0;
    int64_t housekeeping_at = 0;
    while (true) {
      if (stopping_) {
        const int64_t now = clock_->SteadyNs();
        if (stop_at == 0) stop_at = now + kStopNs;
        DrainOutcomes();
        if (in_flight_ == 0 || now > stop_at) return;
      }
      // While stopping nothing new is taken (the agent keeps it); what is queued is acknowledged.
      if (auto incoming = transport_->Receive(kWaitMs); incoming && !stopping_) Take(*incoming);
      DrainOutcomes();
      SendCommands();
      if (const int64_t now = clock_->SteadyNs(); now >= housekeeping_at) {
        housekeeping_at = now + kNsPerSecond;
        fleet_->ExpireCommands();
        std::erase_if(peers_, [&](const auto& peer) {
          return peer.second.last_steady_ns < now - kPeerIdleNs;
        });
      }
    }
  }

  void Take(ServerTransport::Incoming& incoming) {
    if (!incoming.message) {
      const auto reason = ReasonOf(incoming.message.error());
      Refuse(incoming.peer, reason == v1::REJECT_REASON_PROTOCOL_VERSION ? reason : v1::REJECT_REASON_CORRUPT,
             incoming.message.error().message);
      return;
    }
    const WireMessage& message = *incoming.message;
    if (message.kind == MessageKind::kHello) return TakeHello(incoming.peer, incoming.node, message.payload);
    const auto at = peers_.find(incoming.peer);
    if (at == peers_.end()) {
      return Refuse(incoming.peer, v1::REJECT_REASON_NO_HELLO, "say hello first");
    }
    at->second.last_steady_ns = clock_->SteadyNs();
    const std::string node = at->second.node;
    switch (message.kind) {
      case MessageKind::kBatch:
        return TakeBatch(incoming.peer, node, message.payload);
      case MessageKind::kDefinitions:
        return TakeDefinitions(incoming.peer, node, message.payload);
      case MessageKind::kHeartbeat:
        return TakeHeartbeat(incoming.peer, node, message.payload);
      case MessageKind::kCommandReply: {
        v1::CommandReply reply;
        if (!reply.ParseFromString(message.payload)) {
          return Refuse(incoming.peer, v1::REJECT_REASON_CORRUPT, "command reply does not parse");
        }
        return fleet_->OnReply(node, reply);
      }
      default:
        return Refuse(incoming.peer, v1::REJECT_REASON_CORRUPT, "this kind of message is the aggregator's");
    }
  }

  void TakeHello(const std::string& peer, const std::string& authenticated, const std::string& payload) {
    v1::Hello hello;
    if (!hello.ParseFromString(payload) || hello.node().empty() || hello.session() == 0) {
      return Refuse(peer, v1::REJECT_REASON_CORRUPT, "hello does not parse, or lacks node or session");
    }
    if (!authenticated.empty() && authenticated != kAnyNode && authenticated != hello.node()) {
      return Refuse(peer, v1::REJECT_REASON_UNKNOWN_NODE,
                    fmt::format("the key is of node '{}', not '{}'", authenticated, hello.node()));
    }
    peers_[peer] = {hello.node(), clock_->SteadyNs()};
    peer_of_[hello.node()] = peer;
    const int64_t now = clock_->UnixNs();
    fleet_->OnHello(hello.node(), hello);
    fleet_->OnClock(hello.node(), hello.clock_unix_ns() - now, 0);

    v1::HelloReply reply;
    reply.set_clock_unix_ns(now);
    reply.set_hello_clock_unix_ns(hello.clock_unix_ns());
    reply.set_max_batch_bytes(options_.max_batch_bytes);
    reply.set_max_batches_in_flight(options_.max_batches_in_flight);
    std::vector<uint64_t> wanted(hello.spooled_sessions().begin(), hello.spooled_sessions().end());
    wanted.push_back(hello.session());
    if (wanted.size() > kMaxSessionsPerNode) wanted.erase(wanted.begin(), wanted.end() - kMaxSessionsPerNode);
    for (const uint64_t id : wanted) {
      const auto session = FindSession(hello.node(), id);
      if (!session) return Refuse(peer, v1::REJECT_REASON_STORE, session.error().message);
      v1::SessionState* state = reply.add_sessions();
      state->set_session(id);
      state->set_committed_sequence((*session)->committed_sequence);
      state->set_series_known((*session)->series_known());
      state->set_log_streams_known((*session)->streams_known());
    }
    Send(peer, MessageKind::kHelloReply, reply);
    spdlog::info("node {} says hello: session {:016x}, {} spooled sessions", hello.node(), hello.session(),
                 hello.spooled_sessions_size());
  }

  void TakeHeartbeat(const std::string& peer, const std::string& node, const std::string& payload) {
    v1::Heartbeat heartbeat;
    if (!heartbeat.ParseFromString(payload)) {
      return Refuse(peer, v1::REJECT_REASON_CORRUPT, "heartbeat does not parse");
    }
    const int64_t now = clock_->UnixNs();
    fleet_->OnClock(node, heartbeat.clock_unix_ns() - now, 0);
    fleet_->OnHeartbeat(node, heartbeat);
    v1::HeartbeatReply reply;
    reply.set_clock_unix_ns(now);
    reply.set_heartbeat_clock_unix_ns(heartbeat.clock_unix_ns());
    Send(peer, MessageKind::kHeartbeatReply, reply);
  }

  void TakeDefinitions(const std::string& peer, const std::string& node, const std::string& payload) {
    v1::Definitions definitions;
    const auto text = Decompress(payload, options_.max_batch_decoded_bytes);
    if (!text) return Refuse(peer, ReasonOf(text.error()), text.error().message);
    if (!definitions.ParseFromString(*text) || definitions.session() == 0) {
      return Refuse(peer, v1::REJECT_REASON_CORRUPT, "definitions do not parse, or lack their session");
    }
    const auto session = FindSession(node, definitions.session());
    if (!session) return Refuse(peer, v1::REJECT_REASON_STORE, session.error().message);
    if (auto defined = (*session)->Define(definitions, store_, Limits()); !defined) {
      Refuse(peer, ReasonOf(defined.error()), defined.error().message);
    }
  }

  void TakeBatch(const std::string& peer, const std::string& node, const std::string& payload) {
    const int64_t received = clock_->SteadyNs();
    bytes_.Add(static_cast<double>(payload.size()));
    if (payload.size() > options_.max_batch_bytes) {
      return Refuse(peer, v1::REJECT_REASON_TOO_LARGE,
                    fmt::format("batch of {} bytes, the limit is {}", payload.size(), options_.max_batch_bytes));
    }
    const auto text = Decompress(payload, options_.max_batch_decoded_bytes);
    if (!text) return Refuse(peer, ReasonOf(text.error()), text.error().message);
    google::protobuf::Arena arena;
    auto* batch = google::protobuf::Arena::CreateMessage<v1::Batch>(&arena);
    if (!batch->ParseFromString(*text) || batch->session() == 0 || batch->sequence() == 0 ||
        batch->previous_sequence() >= batch->sequence()) {
      return Refuse(peer, v1::REJECT_REASON_CORRUPT, "batch does not parse, or lacks session or sequence");
    }
    const auto found = FindSession(node, batch->session());
    if (!found) return Refuse(peer, v1::REJECT_REASON_STORE, found.error().message, batch);
    Session& session = **found;
    if (batch->sequence() <= session.queued_sequence) {
      duplicates_.Add();
      if (batch->sequence() <= session.committed_sequence) Acknowledge(peer, session);
      return;
    }
    if (batch->previous_sequence() > session.queued_sequence) {
      return Refuse(peer, v1::REJECT_REASON_SEQUENCE_GAP, "a batch before this one is missing", batch,
                    session.queued_sequence + 1);
    }
    if (session.in_flight >= options_.max_batches_in_flight) {
      return Refuse(peer, v1::REJECT_REASON_OVERLOADED, "too many batches wait for the disk", batch,
                    session.queued_sequence + 1);
    }
    if (!WithinRate(node, *batch, received)) {
      return Refuse(peer, v1::REJECT_REASON_OVERLOADED,
                    fmt::format("node {} sends more than limit ingest.max_samples_per_s={}", node, options_.max_samples_per_s),
                    batch, session.queued_sequence + 1);
    }
    Append(peer, node, session, batch, payload.size(), received);
  }

  // A bucket that fills at the allowed rate; a batch is taken while anything is in it, so large ones come through too.
  bool WithinRate(const std::string& node, const v1::Batch& batch, int64_t now_steady_ns) {
    const double rate = options_.max_samples_per_s;
    const auto [at, is_new] = allowances_.try_emplace(node, Allowance{rate * kRateWindowS, now_steady_ns});
    Allowance& allowance = at->second;
    const double elapsed_s = static_cast<double>(now_steady_ns - allowance.steady_ns) / 1e9;
    allowance.samples = std::min(rate * kRateWindowS, allowance.samples + rate * elapsed_s);
    allowance.steady_ns = now_steady_ns;
    if (allowance.samples <= 0) return false;
    for (const auto& frame : batch.frames()) allowance.samples -= frame.values_size();
    return true;
  }

  void Append(const std::string& peer, const std::string& node, Session& session, v1::Batch* batch,
              size_t bytes, int64_t received) {
    Outcome outcome{.peer = peer, .node = node, .session = session.id(), .sequence = batch->sequence(),
                    .bytes = bytes, .received_steady_ns = received,
                    .faults = {batch->faults().begin(), batch->faults().end()}, .checks = {}, .result = {}};
    if (listeners_.on_check) outcome.checks.assign(batch->checks().begin(), batch->checks().end());
    SessionDrops drops;
    const bool has_inventory = batch->has_inventory();
    if (has_inventory) fleet_->OnInventory(node, batch->inventory());
    AppendBatch forwarded;
    const auto rejected = otlp::AddForwarded(batch->otlp(), node, *store_, &forwarded);
    if (!rejected) {
      const bool unreadable = rejected.error().code == ErrorCode::kCorruption;
      return Refuse(peer, unreadable ? v1::REJECT_REASON_CORRUPT : v1::REJECT_REASON_STORE, rejected.error().message,
                    batch, session.queued_sequence + 1);
    }
    auto rows = session.Translate(std::move(*batch), store_, Limits(), &drops);
    if (!rows) {
      return Refuse(peer, ReasonOf(rows.error()), rows.error().message, batch, session.queued_sequence + 1);
    }
    otlp::Merge(std::move(forwarded), &*rows);
    drops.otlp += static_cast<uint64_t>(*rejected);
    CountDrops(drops);
    samples_.Add(static_cast<double>(rows->samples.size()));
    session.queued_sequence = outcome.sequence;
    ++session.in_flight;
    ++in_flight_;
    store_->Append(std::move(*rows), [back = outcomes_, outcome = std::move(outcome)](
                                         Result<void> result) mutable {
      outcome.result = std::move(result);
      const std::lock_guard lock(back->mutex);
      back->queue.push_back(std::move(outcome));
      if (back->transport != nullptr) back->transport->Wake();
    });
  }

  void DrainOutcomes() {
    std::vector<Outcome> outcomes;
    {
      const std::lock_guard lock(outcomes_->mutex);
      outcomes.swap(outcomes_->queue);
    }
    // One acknowledgement per session says it all.
    std::map<std::pair<std::string, uint64_t>, std::string> to_acknowledge;
    for (Outcome& outcome : outcomes) {
      --in_flight_;
      const auto key = std::make_pair(outcome.node, outcome.session);
      const auto at = sessions_.find(key);
      if (at != sessions_.end() && at->second.in_flight > 0) --at->second.in_flight;
      if (!outcome.result) {
        Refuse(outcome.peer, v1::REJECT_REASON_STORE, outcome.result.error().message, outcome.session,
               outcome.sequence, 0);
        if (at != sessions_.end()) sessions_.erase(at);
        to_acknowledge.erase(key);
        continue;
      }
      batches_.Add();
      latency_.Observe(static_cast<double>(clock_->SteadyNs() - outcome.received_steady_ns) / 1e9);
      fleet_->OnBatch(outcome.node, outcome.session, outcome.sequence, outcome.bytes);
      Notify(outcome);
      if (at != sessions_.end()) {
        at->second.committed_sequence = std::max(at->second.committed_sequence, outcome.sequence);
        to_acknowledge[key] = outcome.peer;
      }
    }
    for (const auto& [key, peer] : to_acknowledge) Acknowledge(peer, sessions_.at(key));
  }

  void Notify(const Outcome& outcome) {
    for (const v1::CheckResult& result : outcome.checks) listeners_.on_check(outcome.node, result);
    if (outcome.faults.empty() || !listeners_.on_transition) return;
    const auto node = fleet_->Node(outcome.node);
    for (const v1::FaultTransition& transition : outcome.faults) {
      listeners_.on_transition(outcome.node, transition, node ? node->clock_offset_ns : 0);
    }
  }

  Result<Session*> FindSession(const std::string& node, uint64_t id) {
    const auto key = std::make_pair(node, id);
    if (const auto at = sessions_.find(key); at != sessions_.end()) return &at->second;
    FAULTLINE_ASSIGN(SessionDictionary dictionary, store_->Session(node, id));
    // Old sessions of the node leave memory; the store can bring them back.
    const auto first = sessions_.lower_bound(std::make_pair(node, uint64_t{0}));
    size_t count = 0;
    for (auto at = first; at != sessions_.end() && at->first.first == node; ++at) ++count;
    for (auto at = first; count >= kMaxSessionsPerNode && at != sessions_.end() && at->first.first == node;) {
      if (at->second.in_flight == 0) {
        at = sessions_.erase(at);
        --count;
      } else {
        ++at;
      }
    }
    return &sessions_.try_emplace(key, node, id, std::move(dictionary)).first->second;
  }

  SessionLimits Limits() const {
    return {.max_series_per_node = options_.max_series_per_node,
            .oldest_ms = 0,
            .newest_ms = (clock_->UnixNs() + options_.max_future_ns) / kNsPerMs};
  }

  void CountDrops(const SessionDrops& drops) {
    const auto count = [&](const char* reason, uint64_t amount) {
      if (amount == 0) return;
      metrics_->GetCounter("faultline_ingest_dropped_samples_total", "Samples left out of batches.",
                           {{"reason", reason}}).Add(static_cast<double>(amount));
    };
    count("series_limit", drops.series_limit);
    count("out_of_range", drops.out_of_range);
    count("otlp", drops.otlp);
  }

  void Acknowledge(const std::string& peer, const Session& session) {
    v1::Ack ack;
    ack.set_session(session.id());
    ack.set_committed_sequence(session.committed_sequence);
    Send(peer, MessageKind::kAck, ack);
  }

  void Refuse(const std::string& peer, v1::RejectReason reason, const std::string& message,
              const v1::Batch* batch, uint64_t expected = 0) {
    Refuse(peer, reason, message, batch->session(), batch->sequence(), expected);
  }

  void Refuse(const std::string& peer, v1::RejectReason reason, const std::string& message,
              uint64_t session = 0, uint64_t sequence = 0, uint64_t expected = 0) {
    const std::string& name = v1::RejectReason_Name(reason);
    metrics_->GetCounter("faultline_ingest_rejected_total", "Messages refused.", {{"reason", name}}).Add();
    const auto at = peers_.find(peer);
    const std::string who = at == peers_.end() ? "a stranger" : "node " + at->second.node;
    if (LogAllowed(who + name)) spdlog::warn("refused a message of {}: {}: {}", who, name, message);
    v1::Reject reject;
    reject.set_reason(reason);
    reject.set_message(message);
    reject.set_session(session);
    reject.set_sequence(sequence);
    reject.set_expected_sequence(expected);
    Send(peer, MessageKind::kReject, reject);
  }

  template <typename Message>
  void Send(const std::string& peer, MessageKind kind, const Message& message) {
    if (auto sent = transport_->Send(peer, {kind, message.SerializeAsString()}); !sent) {
      // The peer is gone or does not read: it will say hello again.
      metrics_->GetCounter("faultline_ingest_unsent_total", "Replies that could not be sent.").Add();
    }
  }

  Result<void> QueueCommand(const std::string& node, const v1::Command& command) {
    constexpr size_t kMaxQueuedCommands = 10'000;
    {
      const std::lock_guard lock(commands_mutex_);
      if (commands_.size() >= kMaxQueuedCommands) {
        return Fail(ErrorCode::kResourceExhausted, "{} commands wait to be sent", kMaxQueuedCommands);
      }
      commands_.emplace_back(node, command);
    }
    transport_->Wake();
    return {};
  }

  void SendCommands() {
    std::vector<std::pair<std::string, v1::Command>> commands;
    {
      const std::lock_guard lock(commands_mutex_);
      commands.swap(commands_);
    }
    for (const auto& [node, command] : commands) {
      const auto at = peer_of_.find(node);
      auto sent = at == peer_of_.end()
                      ? Result<void>(Fail(ErrorCode::kUnavailable, "node '{}' is not connected", node))
                      : transport_->Send(at->second, {MessageKind::kCommand, command.SerializeAsString()});
      if (sent) continue;
      v1::CommandReply reply;
      reply.set_id(command.id());
      reply.set_error_code(std::string(ErrorCodeName(sent.error().code)));
      reply.set_error_message(sent.error().message);
      fleet_->OnReply(node, reply);
    }
  }

  const std::unique_ptr<ServerTransport> transport_;
  Store* const store_;
  Fleet* const fleet_;
  SelfMetrics* const metrics_;
  const Clock* const clock_;
  const IngestOptions options_;
  const IngestListeners listeners_;
  Counter& batches_;
  Counter& duplicates_;
  Counter& bytes_;
  Counter& samples_;
  Histogram& latency_;

  std::map<std::string, Peer> peers_;           // by transport identity
  std::map<std::string, std::string> peer_of_;  // node -> newest peer
  std::map<std::pair<std::string, uint64_t>, Session> sessions_;
  std::map<std::string, Allowance> allowances_;  // by node; nodes are few and authenticated
  uint64_t in_flight_ = 0;
  const std::shared_ptr<Outcomes> outcomes_ = std::make_shared<Outcomes>();
  std::mutex commands_mutex_;
  std::vector<std::pair<std::string, v1::Command>> commands_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

Ingest::Ingest(std::unique_ptr<ServerTransport> transport, Store* store, Fleet* fleet,
               SelfMetrics* metrics, const Clock* clock, const IngestOptions& options,
               IngestListeners listeners)
    : loop_(std::make_unique<Loop>(std::move(transport), store, fleet, metrics, clock, options,
                                   std::move(listeners))) {}
Ingest::~Ingest() { Stop(); }
void Ingest::Start() { loop_->Start(); }
void Ingest::Stop() { loop_->Stop(); }
std::string Ingest::endpoint() const { return loop_->endpoint(); }

}  // namespace faultline
