#include "agent/uplink.h"

#include <algorithm>
#include <numeric>

#include "common/log.h"

namespace faultline {
namespace {

constexpr size_t kMaxSpooledSessions = 7;          // of a lane, named in a hello; the rest come when these are done
constexpr size_t kMaxDefinitionsPerMessage = 5000;
constexpr size_t kMaxDecodedBytes = size_t{64} << 20;
constexpr int kMaxRefusals = 3;                    // of what is in one batch, before it is given up
constexpr int kMaxUnknownReferences = 30;          // these heal with a hello, unless the aggregator is wrong
constexpr int kMaxMessagesPerStep = 1000;          // collectors must not wait for a chatty peer

}  // namespace

Uplink::Uplink(UplinkOptions options, const Clock* clock, ClientTransport* transport, Spool* spool,
               CommandExecutor* commands)
    : options_(std::move(options)),
      clock_(clock),
      transport_(transport),
      spool_(spool),
      commands_(commands),
      random_(options_.seed),
      heard_at_ns_(clock->SteadyNs()) {}

int64_t Uplink::Step() {
  Receive();
  int64_t now = clock_->SteadyNs();
  // While waiting as well: a connection that cannot be written to may be the wrong endpoint's.
  if (now - heard_at_ns_ > options_.silence_ns) Disconnect("no answer");
  if (state_ == State::kStreaming && InFlight() > 0 && now - progress_at_ns_ > options_.acknowledge_ns) {
    GreetAgain(0, "no acknowledgement");
  }
  if (state_ == State::kWaiting && now >= retry_at_ns_) SendHello();
  if (state_ == State::kStreaming) {
    SendReplies();
    SendWindow();
    if (now >= heartbeat_at_ns_) {
      v1::Heartbeat heartbeat;
      heartbeat.set_clock_unix_ns(clock_->UnixNs());
      heartbeat.set_spool_batches(spool_->batches());
      heartbeat.set_spool_bytes(spool_->bytes());
      (void)Send(MessageKind::kHeartbeat, heartbeat.SerializeAsString());
      heartbeat_at_ns_ = now + options_.heartbeat_ns;
    }
    // Sending may swallow the descriptor's edge.
    Receive();
    SendWindow();
  }
  now = clock_->SteadyNs();
  switch (state_) {
    case State::kWaiting: return retry_at_ns_;
    case State::kGreeting: return heard_at_ns_ + options_.silence_ns + 1;
    case State::kStreaming: break;
  }
  return std::min(heartbeat_at_ns_, heard_at_ns_ + options_.silence_ns + 1);
}

void Uplink::Receive() {
  for (int i = 0; i < kMaxMessagesPerStep; ++i) {
    auto received = transport_->Receive();
    if (!received) return;
    if (!*received) {
      if (LogAllowed("uplink receive")) spdlog::warn("uplink: {}", received->error().message);
      continue;
    }
    heard_at_ns_ = clock_->SteadyNs();
    Take(**received);
  }
}

void Uplink::Take(const WireMessage& message) {
  const auto parsed = [&](auto& payload) {
    if (payload.ParseFromString(message.payload)) return true;
    if (LogAllowed("uplink parse")) {
      spdlog::warn("uplink: a message of kind {} does not parse", static_cast<int>(message.kind));
    }
    return false;
  };
  switch (message.kind) {
    case MessageKind::kHelloReply:
      if (v1::HelloReply reply; parsed(reply)) TakeHelloReply(reply);
      return;
    case MessageKind::kAck:
      if (v1::Ack ack; parsed(ack)) TakeAck(ack);
      return;
    case MessageKind::kReject:
      if (v1::Reject reject; parsed(reject)) TakeReject(reject);
      return;
    case MessageKind::kCommand:
      if (v1::Command command; parsed(command)) TakeCommand(std::move(command));
      return;
    case MessageKind::kHeartbeatReply:
      if (v1::HeartbeatReply reply; parsed(reply)) TakeHeartbeatReply(reply);
      return;
    default:
      if (LogAllowed("uplink kind")) {
        spdlog::warn("uplink: the aggregator sent a message of kind {}", static_cast<int>(message.kind));
      }
  }
}

void Uplink::SendHello() {
  v1::Hello hello;
  hello.set_node(options_.node);
  hello.set_version(options_.version);
  hello.set_session(spool_->session());
  hello.set_boot_id(options_.boot_id);
  for (const std::string& capability : capabilities_) hello.add_capabilities(capability);
  hello.set_clock_unix_ns(clock_->UnixNs());
  for (const Lane lane : {Lane::kPrompt, Lane::kBacklog}) {
    const std::vector<uint64_t> sessions = spool_->Sessions(lane);
    for (size_t i = 0; i < sessions.size(); ++i) {
      // The current ones are the last.
      const bool named = i < kMaxSpooledSessions || i + 1 == sessions.size();
      if (named && sessions[i] != hello.session()) hello.add_spooled_sessions(sessions[i]);
    }
  }
  if (!Send(MessageKind::kHello, hello.SerializeAsString())) {
    retry_at_ns_ = clock_->SteadyNs() + Backoff();
    return;
  }
  state_ = State::kGreeting;
  heard_at_ns_ = clock_->SteadyNs();
}

void Uplink::TakeHelloReply(const v1::HelloReply& reply) {
  if (state_ != State::kGreeting) return;
  progress_.clear();
  for (const v1::SessionState& session : reply.sessions()) {
    // A watermark beyond what was ever sent would be somebody else's; never delete on its word.
    const uint64_t committed = std::min(session.committed_sequence(), spool_->LastSequence(session.session()));
    progress_[session.session()] = {.sent = committed,
                                    .series = session.series_known(),
                                    .streams = session.log_streams_known(),
                                    .in_flight = {}};
    if (const auto done = spool_->Acknowledge(session.session(), committed); !done) {
      spdlog::warn("uplink: {}", done.error().message);
    }
  }
  peer_window_ = reply.max_batches_in_flight();
  peer_max_batch_bytes_ = reply.max_batch_bytes();
  state_ = State::kStreaming;
  heartbeat_at_ns_ = clock_->SteadyNs();
  if (!last_refusal_.empty() || attempts_ > 0) spdlog::info("uplink: connected to the aggregator");
  last_refusal_.clear();
}

uint32_t Uplink::Window() const {
  return peer_window_ == 0 ? options_.max_batches_in_flight
                           : std::min(peer_window_, options_.max_batches_in_flight);
}

uint32_t Uplink::InFlight() const {
  size_t sum = 0;
  for (const auto& [session, progress] : progress_) sum += progress.in_flight.size();
  return static_cast<uint32_t>(sum);
}

bool Uplink::HasRoom(Lane lane, const Progress& progress) const {
  if (progress.in_flight.size() >= Window()) return false;
  return lane == Lane::kPrompt ||
         spool_->BacklogMayGo(std::accumulate(progress.in_flight.begin(), progress.in_flight.end(), size_t{0}));
}

void Uplink::SendWindow() {
  if (SendLane(Lane::kPrompt)) SendLane(Lane::kBacklog);
}

bool Uplink::SendLane(Lane lane) {
  if (state_ != State::kStreaming) return false;
  const std::vector<uint64_t> sessions = spool_->Sessions(lane);
  for (const uint64_t session : sessions) {
    const auto at = progress_.find(session);
    if (at == progress_.end()) {
      if (spool_->LastSequence(session) == 0) return true;  // nothing to send yet
      // Not named in the last hello: ask what is known of it, now that the ones before it are through.
      GreetAgain(0, "the next session");
      return false;
    }
    while (state_ == State::kStreaming && HasRoom(lane, at->second) && SendNext(session, at->second)) {
    }
    if (state_ != State::kStreaming) return false;
    // A session is sent after the one before it is: order within the node's life.
    const bool is_through = at->second.in_flight.empty() && at->second.sent >= spool_->LastSequence(session);
    if (!is_through && session != sessions.back()) break;
  }
  return true;
}

bool Uplink::SendNext(uint64_t session, Progress& progress) {
  if (progress.sent >= spool_->LastSequence(session)) return false;
  auto read = spool_->Read(session, progress.sent + 1);
  if (!read) {
    if (LogAllowed("uplink read")) spdlog::error("uplink: {}", read.error().message);
    return false;
  }
  if (!*read) return false;
  Spool::SpooledBatch batch = std::move(**read);
  if (!SendDefinitions(batch, progress)) return false;
  if (batch.sequence != progress.sent + 1) {
    // The spool had to drop what was between: say so in the batch.
    auto text = Decompress(batch.payload, kMaxDecodedBytes);
    v1::Batch patched;
    if (!text || !patched.ParseFromString(*text)) {
      GiveUp(session, batch.sequence, "it cannot be read");
      return true;
    }
    patched.set_previous_sequence(progress.sent);
    batch.payload = Compress(patched.SerializeAsString());
  }
  const size_t bytes = batch.payload.size();
  if (peer_max_batch_bytes_ != 0 && bytes > peer_max_batch_bytes_) {
    GiveUp(session, batch.sequence, fmt::format("{} bytes, the aggregator takes {}", bytes, peer_max_batch_bytes_));
    return true;
  }
  if (!Send(MessageKind::kBatch, std::move(batch.payload))) return false;
  progress.sent = batch.sequence;
  progress.series = std::max(progress.series, batch.series_after);
  progress.streams = std::max(progress.streams, batch.streams_after);
  if (InFlight() == 0) progress_at_ns_ = clock_->SteadyNs();
  progress.in_flight.push_back(bytes);
  ++counters_.batches_sent;
  counters_.bytes_sent += bytes;
  return true;
}

bool Uplink::SendDefinitions(const Spool::SpooledBatch& batch, Progress& progress) {
  while (progress.series < batch.series_before || progress.streams < batch.streams_before) {
    const auto last = [](uint32_t known, uint32_t wanted) {
      return std::min<uint32_t>(wanted, known + kMaxDefinitionsPerMessage);
    };
    const uint32_t series = std::max(progress.series, last(progress.series, batch.series_before));
    const uint32_t streams = std::max(progress.streams, last(progress.streams, batch.streams_before));
    const auto definitions = spool_->ReadDefinitions(batch.session, progress.series + 1, series,
                                                     progress.streams + 1, streams);
    if (!definitions) {
      GiveUp(batch.session, batch.sequence, definitions.error().message);
      return false;
    }
    if (!Send(MessageKind::kDefinitions, Compress(definitions->SerializeAsString()))) return false;
    progress.series = series;
    progress.streams = streams;
  }
  return true;
}

void Uplink::TakeAck(const v1::Ack& ack) {
  const auto at = progress_.find(ack.session());
  if (state_ != State::kStreaming || at == progress_.end()) return;
  const uint64_t committed = std::min(ack.committed_sequence(), at->second.sent);
  if (const auto done = spool_->Acknowledge(ack.session(), committed); !done) {
    if (LogAllowed("uplink acknowledge")) spdlog::error("uplink: {}", done.error().message);
    return;
  }
  attempts_ = 0;
  progress_at_ns_ = clock_->SteadyNs();
  refused_.clear();
  // Sequences in flight have no holes but for batches that were dropped: then the count is too high for a moment, and
  // settled when the last one is acknowledged.
  std::deque<size_t>& in_flight = at->second.in_flight;
  while (in_flight.size() > at->second.sent - committed) in_flight.pop_front();
}

void Uplink::TakeReject(const v1::Reject& reject) {
  ++counters_.rejects[v1::RejectReason_Name(reject.reason())];
  last_refusal_ = fmt::format("{}: {}", v1::RejectReason_Name(reject.reason()), reject.message());
  if (LogAllowed("uplink reject " + v1::RejectReason_Name(reject.reason()))) {
    spdlog::warn("uplink: the aggregator refused: {}", last_refusal_);
  }
  switch (reject.reason()) {
    case v1::REJECT_REASON_PROTOCOL_VERSION:
    case v1::REJECT_REASON_UNKNOWN_NODE:
      // Nothing we send will be taken until a person changes something.
      return GreetAgain(options_.reconnect_max_ns, "refused");
    case v1::REJECT_REASON_OVERLOADED:
    case v1::REJECT_REASON_STORE:
      return GreetAgain(Backoff(), "the aggregator cannot take more now");
    case v1::REJECT_REASON_SEQUENCE_GAP:
    case v1::REJECT_REASON_NO_HELLO:
      return GreetAgain(0, "the aggregator lost track");
    default: break;
  }
  // Something in the batch itself: try again from what the aggregator says it knows, then without this batch. A batch
  // that could not even be read is refused without its name: it is the oldest one in flight.
  uint64_t session = reject.session(), sequence = reject.sequence();
  if (sequence == 0) {
    for (const auto& [id, progress] : progress_) {
      if (progress.in_flight.empty()) continue;
      session = id;
      sequence = progress.sent - progress.in_flight.size() + 1;
    }
  }
  const int limit = reject.reason() == v1::REJECT_REASON_UNKNOWN_REFERENCE ? kMaxUnknownReferences : kMaxRefusals;
  if (sequence != 0 && ++refused_[{session, sequence}] >= limit) GiveUp(session, sequence, last_refusal_);
  GreetAgain(Backoff(), "a batch was refused");
}

void Uplink::GiveUp(uint64_t session, uint64_t sequence, std::string_view why) {
  spdlog::error("uplink: batch {} is given up: {}", sequence, why);
  if (const auto gone = spool_->Discard(session, sequence); !gone) spdlog::error("uplink: {}", gone.error().message);
}

void Uplink::TakeCommand(v1::Command command) {
  const std::string id = command.id();
  const auto reply_later = [self = self_](v1::CommandReply reply) {
    Uplink* const uplink = *self;
    if (uplink == nullptr) return;
    if (uplink->replies_.size() >= uplink->options_.max_queued_replies) {
      uplink->replies_.pop_front();
      ++uplink->counters_.replies_dropped;
    }
    uplink->replies_.push_back(std::move(reply));
    uplink->SendReplies();
  };
  if (commands_ != nullptr) return commands_->Execute(std::move(command), reply_later);
  v1::CommandReply reply;
  reply.set_id(id);
  reply.set_error_code(std::string(ErrorCodeName(ErrorCode::kUnsupported)));
  reply.set_error_message("this agent executes no commands");
  reply_later(std::move(reply));
}

void Uplink::SendReplies() {
  while (state_ == State::kStreaming && !replies_.empty() &&
         Send(MessageKind::kCommandReply, replies_.front().SerializeAsString())) {
    replies_.pop_front();
  }
}

void Uplink::TakeHeartbeatReply(const v1::HeartbeatReply& reply) {
  const int64_t now = clock_->UnixNs();
  const int64_t round_trip_ns = now - reply.heartbeat_clock_unix_ns();
  clock_offset_ns_ = reply.clock_unix_ns() - (reply.heartbeat_clock_unix_ns() + round_trip_ns / 2);
  if (on_heartbeat_reply_) on_heartbeat_reply_();
}

bool Uplink::Send(MessageKind kind, std::string payload) {
  return transport_->Send({kind, std::move(payload)}).has_value();
}

void Uplink::Disconnect(std::string_view why) {
  ++counters_.reconnects;
  heard_at_ns_ = clock_->SteadyNs();
  if (LogAllowed("uplink disconnect")) spdlog::warn("uplink: connecting again: {}", why);
  if (const auto done = transport_->Reconnect(); !done) {
    spdlog::error("uplink: {}", done.error().message);
  }
  GreetAgain(Backoff(), why);
}

void Uplink::GreetAgain(int64_t delay_ns, std::string_view why) {
  // A burst of rejects (all that was in flight) asks for one hello only.
  if (state_ == State::kWaiting) return;
  if (state_ == State::kGreeting && delay_ns == 0) return;
  spdlog::debug("uplink: hello again in {} ms: {}", delay_ns / kNsPerMs, why);
  state_ = State::kWaiting;
  retry_at_ns_ = clock_->SteadyNs() + delay_ns;
}

int64_t Uplink::Backoff() {
  const int shift = std::min(attempts_++, 16);
  const int64_t full = std::min(options_.reconnect_min_ns << shift, options_.reconnect_max_ns);
  return full / 2 + static_cast<int64_t>(random_() % static_cast<uint64_t>(full / 2 + 1));
}

}  // namespace faultline
