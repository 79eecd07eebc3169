// Agents and a receiver that does what common/WIRE.md says, over a network that loses, repeats, reorders and cuts, on a
// clock moved by hand. Agents restart, the receiver restarts and forgets its dictionaries. In the end each batch must be
// there exactly once, and each reference in it defined; and of each log file each line, though some went by the backlog and
// the receiver takes what lies before the end of a file for a repetition. Everything follows from the seed, which a failure
// prints.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>
#include <set>

#include "agent/pipeline.h"
#include "agent/spool.h"
#include "agent/uplink.h"
#include "common/memory_transport.h"

namespace faultline {
namespace {

class Receiver {
 public:
  Receiver(std::unique_ptr<ServerTransport> transport, uint64_t seed)
      : transport_(std::move(transport)), random_(seed) {}

  struct Session {
    uint64_t committed = 0;
    uint32_t series = 0;
    std::set<uint64_t> stored;
    uint64_t samples = 0;
  };

  void Step() {
    while (auto incoming = transport_->Receive(0)) {
      if (incoming->message) Take(*incoming);
    }
  }
  // What a restart forgets: who said hello. What a wiped disk would forget as well: dictionaries.
  void Restart(bool lose_definitions) {
    peers_.clear();
    if (!lose_definitions) return;
    for (auto& [key, session] : sessions_) session.series = 0;
  }
  void BeKind() { kind_ = true; }
  const std::map<std::pair<std::string, uint64_t>, Session>& sessions() const { return sessions_; }
  uint64_t LinesOf(const std::string& node, uint64_t file_id) const {
    const auto file = files_.find({node, file_id});
    return file == files_.end() ? 0 : file->second.lines;
  }
  uint64_t gaps() const { return gaps_; }

 private:
  void Take(const ServerTransport::Incoming& incoming) {
    const WireMessage& message = *incoming.message;
    if (message.kind == MessageKind::kHello) return TakeHello(incoming);
    if (!peers_.contains(incoming.peer)) return Refuse(incoming.peer, v1::REJECT_REASON_NO_HELLO, 0, 0);
    if (message.kind == MessageKind::kHeartbeat) {
      v1::HeartbeatReply reply;
      return Send(incoming.peer, MessageKind::kHeartbeatReply, reply);
    }
    if (message.kind == MessageKind::kDefinitions) {
      v1::Definitions definitions;
      ASSERT_TRUE(definitions.ParseFromString(*Decompress(message.payload, 1 << 20)));
      for (const auto& definition : definitions.series()) Define(At(incoming, definitions.session()), definition);
      return;
    }
    if (message.kind == MessageKind::kBatch) TakeBatch(incoming);
  }

  void TakeHello(const ServerTransport::Incoming& incoming) {
    v1::Hello hello;
    ASSERT_TRUE(hello.ParseFromString(incoming.message->payload));
    peers_.insert(incoming.peer);
    v1::HelloReply reply;
    reply.set_max_batches_in_flight(8);
    auto wanted = hello.spooled_sessions();
    wanted.Add(hello.session());
    for (const uint64_t id : wanted) {
      auto* state = reply.add_sessions();
      state->set_session(id);
      state->set_committed_sequence(At(incoming, id).committed);
      state->set_series_known(At(incoming, id).series);
    }
    Send(incoming.peer, MessageKind::kHelloReply, reply);
  }

  void TakeBatch(const ServerTransport::Incoming& incoming) {
    v1::Batch batch;
    ASSERT_TRUE(batch.ParseFromString(*Decompress(incoming.message->payload, 1 << 20)));
    Session& session = At(incoming, batch.session());
    if (!kind_ && random_() % 50 == 0) {
      return Refuse(incoming.peer, v1::REJECT_REASON_OVERLOADED, batch.session(), batch.sequence());
    }
    if (batch.sequence() > session.committed) {
      if (batch.previous_sequence() > session.committed) {
        ++gaps_;
        return Refuse(incoming.peer, v1::REJECT_REASON_SEQUENCE_GAP, batch.session(), batch.sequence());
      }
      for (const auto& definition : batch.series()) Define(session, definition);
      if (!AllDefined(batch, session)) {
        return Refuse(incoming.peer, v1::REJECT_REASON_UNKNOWN_REFERENCE, batch.session(), batch.sequence());
      }
      ASSERT_TRUE(session.stored.insert(batch.sequence()).second) << "stored twice";
      session.committed = batch.sequence();
      for (const auto& frame : batch.frames()) session.samples += static_cast<uint64_t>(frame.values_size());
      for (const auto& frame : batch.logs()) {
        session.samples += static_cast<uint64_t>(frame.records_size());
        File& file = files_[{incoming.node, frame.file_id()}];
        for (const auto& record : frame.records()) file.lines += record.offset() >= file.end ? 1 : 0;
        file.end = std::max(file.end, frame.end_offset());
      }
    }
    v1::Ack ack;
    ack.set_session(batch.session());
    ack.set_committed_sequence(session.committed);
    Send(incoming.peer, MessageKind::kAck, ack);
  }

  static void Define(Session& session, const v1::SeriesDefinition& definition) {
    if (definition.ref() == session.series + 1) ++session.series;
  }
  static bool AllDefined(const v1::Batch& batch, const Session& session) {
    for (const auto& frame : batch.frames()) {
      int64_t ref = 0;
      for (const int32_t delta : frame.ref_deltas()) {
        ref += delta;
        if (ref < 1 || ref > static_cast<int64_t>(session.series)) return false;
      }
    }
    return true;
  }
  struct File {
    uint64_t end = 0;
    uint64_t lines = 0;
  };
  Session& At(const ServerTransport::Incoming& incoming, uint64_t id) { return sessions_[{incoming.node, id}]; }
  void Refuse(const std::string& peer, v1::RejectReason reason, uint64_t session, uint64_t sequence) {
    v1::Reject reject;
    reject.set_reason(reason);
    reject.set_session(session);
    reject.set_sequence(sequence);
    Send(peer, MessageKind::kReject, reject);
  }
  template <typename Message>
  void Send(const std::string& peer, MessageKind kind, const Message& message) {
    (void)transport_->Send(peer, {kind, message.SerializeAsString()});
  }

  std::unique_ptr<ServerTransport> transport_;
  std::mt19937_64 random_;
  std::set<std::string> peers_;
  std::map<std::pair<std::string, uint64_t>, Session> sessions_;
  std::map<std::pair<std::string, uint64_t>, File> files_;
  uint64_t gaps_ = 0;
  bool kind_ = false;
};

// Pipeline, spool and uplink as in agent.h, without the loop.
class SimulatedAgent {
 public:
  SimulatedAgent(std::string node, const std::string& folder, MemoryNetwork* network, ManualClock* clock,
                 uint64_t seed, uint64_t max_bytes)
      : node_(std::move(node)), folder_(folder), network_(network), clock_(clock), seed_(seed), max_bytes_(max_bytes) {
    Start();
  }
  // As after SIGKILL: what was not flushed is gone, and was never counted as written.
  void Restart() {
    Total();
    uplink_.reset();
    transport_.reset();
    pipeline_.reset();
    spool_.reset();
    Start();
  }
  void Emit(int devices) {
    Emitter& leaf = pipeline_->Leaf("sim");
    pipeline_->BeginPass(leaf, clock_->UnixNs());
    for (int i = 0; i < devices; ++i) {
      leaf.Sample({"x_total", v1::METRIC_TYPE_COUNTER, "X."}, {{"device", std::to_string(i)}}, i);
    }
    pipeline_->EndPass(leaf, true);
    pipeline_->Flush();
  }
  // Some lines of a log file, from where it was left; one that is going is so until the agent ends.
  void Tail(uint64_t file_id, uint64_t lines, bool is_going) {
    File& file = files_[file_id];
    file.is_going = file.is_going || is_going || spool_->InBacklog(file_id);
    LogChunk chunk;
    chunk.stream_labels = {{"file", std::to_string(file_id)}};
    chunk.file_id = file_id;
    chunk.begin_offset = file.end;
    for (uint64_t i = 0; i < lines; ++i) chunk.records.push_back({.body = "line", .offset = file.end + i});
    chunk.end_offset = file.end + lines;
    chunk.at_risk = file.is_going;
    if (pipeline_->Leaf("logs").Logs(std::move(chunk))) file.end += lines;
  }
  void Flush() { pipeline_->Flush(); }
  uint64_t EndOf(uint64_t file_id) { return files_[file_id].end; }
  void Step() { (void)uplink_->Step(); }
  bool Drained() const { return spool_->batches() == 0; }
  const Spool& spool() const { return *spool_; }
  const Uplink& uplink() const { return *uplink_; }
  const std::string& node() const { return node_; }
  uint64_t written_records() const { return written_ + spool_->counters().appended_records; }
  uint64_t dropped_records() const { return dropped_ + spool_->counters().dropped_records; }

 private:
  void Start() {
    auto spool = Spool::Open({.folder = folder_ + "/" + node_, .max_bytes = max_bytes_});
    ASSERT_TRUE(spool.has_value()) << spool.error().message;
    spool_ = *std::move(spool);
    pipeline_ = std::make_unique<Pipeline>(PipelineOptions{.max_series = 1000, .seed = seed_}, clock_, spool_.get(), nullptr);
    transport_ = network_->MakeClient(node_);
    UplinkOptions options;
    options.node = node_;
    options.seed = seed_++;
    uplink_ = std::make_unique<Uplink>(options, clock_, transport_.get(), spool_.get(), nullptr);
    for (auto& [file_id, file] : files_) file = {.end = spool_->LogPosition(file_id)};
  }
  void Total() {
    written_ += spool_->counters().appended_records;
    dropped_ += spool_->counters().dropped_records;
  }

  struct File {
    uint64_t end = 0;
    bool is_going = false;
  };

  const std::string node_, folder_;
  MemoryNetwork* const network_;
  ManualClock* const clock_;
  uint64_t seed_;
  const uint64_t max_bytes_;
  uint64_t written_ = 0, dropped_ = 0;
  std::map<uint64_t, File> files_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<ClientTransport> transport_;
  std::unique_ptr<Uplink> uplink_;
};

class UplinkSim : public ::testing::TestWithParam<uint64_t> {
 protected:
  UplinkSim() {
    char folder[] = "/tmp/faultline_sim_XXXXXX";
    folder_ = mkdtemp(folder);
  }
  ~UplinkSim() override { std::filesystem::remove_all(folder_); }

  static constexpr uint64_t kFiles = 12;

  void Play(uint64_t max_bytes, bool restarts) {
    const uint64_t seed = GetParam();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    MemoryNetwork network({.seed = seed, .loss = 0.05, .repeat = 0.05, .reorder = 0.05, .disconnect = 0.01});
    Receiver receiver(network.MakeServer(), seed);
    std::vector<std::unique_ptr<SimulatedAgent>> agents;
    for (const char* node : {"a", "b", "c"}) {
      agents.push_back(std::make_unique<SimulatedAgent>(node, folder_, &network, &clock_, seed, max_bytes));
    }
    for (int step = 0; step < 600; ++step) {
      clock_.Advance(static_cast<int64_t>(random() % 200) * kNsPerMs);
      auto& agent = *agents[random() % agents.size()];
      agent.Tail(1 + random() % kFiles, 1 + random() % 5, random() % 20 == 0);
      if (random() % 2 == 0) agent.Emit(1 + static_cast<int>(random() % 20));
      if (random() % 3 == 0) agent.Flush();
      if (restarts && random() % 150 == 0) agent.Restart();
      if (random() % 100 == 0) network.CutAll();
      if (random() % 100 == 0) receiver.Restart(random() % 2 == 0);
      for (auto& each : agents) each->Step();
      receiver.Step();
    }
    network.Heal();
    receiver.BeKind();
    for (auto& each : agents) each->Flush();
    for (int step = 0; step < 2000; ++step) {
      clock_.Advance(50 * kNsPerMs);
      for (auto& each : agents) each->Step();
      receiver.Step();
    }
    for (auto& agent : agents) {
      EXPECT_TRUE(agent->Drained()) << agent->node() << " has " << agent->spool().batches() << " batches left; "
                                    << agent->uplink().last_refusal();
      uint64_t stored = 0;
      for (const auto& [key, session] : receiver.sessions()) {
        if (key.first != agent->node()) continue;
        stored += session.samples;
        if (agent->dropped_records() == 0) {
          EXPECT_EQ(session.stored.size(), session.committed) << "a hole in a session";
        }
      }
      for (uint64_t file_id = 1; agent->dropped_records() == 0 && file_id <= kFiles; ++file_id) {
        EXPECT_EQ(receiver.LinesOf(agent->node(), file_id), agent->EndOf(file_id)) << agent->node() << " file " << file_id;
      }
      // What the spool dropped while its acknowledgement was lost is both dropped and stored.
      EXPECT_LE(stored, agent->written_records());
      EXPECT_GE(stored + agent->dropped_records(), agent->written_records());
    }
  }

  std::string folder_;
  ManualClock clock_{1'700'000'000 * kNsPerSecond};
};

TEST_P(UplinkSim, EachBatchExactlyOnce) { Play(64 << 20, true); }

TEST_P(UplinkSim, ASmallSpoolDropsTheOldestAndSaysSo) { Play(600, false); }

INSTANTIATE_TEST_SUITE_P(Seeds, UplinkSim, ::testing::Range<uint64_t>(1, 13));

}  // namespace
}  // namespace faultline
