// The whole road in one process, with the real parts: pipeline, spool and uplink of an agent, ZeroMQ on loopback, ingest
// and RocksDB of an aggregator that restarts meanwhile. Real time, polled with deadlines.
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "agent/pipeline.h"
#include "agent/spool.h"
#include "agent/uplink.h"
#include "aggregator/fleet.h"
#include "aggregator/ingest.h"
#include "aggregator/store/store.h"
#include "common/self_metrics.h"
#include "common/zmq_transport.h"

namespace faultline {
namespace {

using std::chrono::seconds;
using Steady = std::chrono::steady_clock;

class Aggregator {
 public:
  Aggregator(const std::string& folder, const std::string& listen, const Clock* clock) : fleet_(clock, 15 * kNsPerSecond) {
    StoreOptions options;
    options.folder = folder;
    store_ = *OpenRocksDbStore(options, clock);
    auto server = MakeZmqServer({.listen = listen, .keys = "", .on_refused = nullptr});
    EXPECT_TRUE(server.has_value()) << (server ? "" : server.error().message);
    ingest_ = std::make_unique<Ingest>(*std::move(server), store_.get(), &fleet_, &metrics_, clock, IngestOptions(),
                                       IngestListeners());
    ingest_->Start();
  }
  ~Aggregator() { ingest_->Stop(); }
  std::string endpoint() const { return ingest_->endpoint(); }
  Store& store() { return *store_; }
  Fleet& fleet() { return fleet_; }

 private:
  SelfMetrics metrics_;
  Fleet fleet_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Ingest> ingest_;
};

struct Answering final : CommandExecutor {
  void Execute(v1::Command command, std::function<void(v1::CommandReply)> reply) override {
    v1::CommandReply done;
    done.set_id(command.id());
    done.add_faults()->set_fault_uid("f1");
    reply(std::move(done));
  }
};

class RealRoad : public ::testing::Test {
 protected:
  RealRoad() {
    char folder[] = "/tmp/faultline_road_XXXXXX";
    folder_ = mkdtemp(folder);
    aggregator_ = std::make_unique<Aggregator>(folder_ + "/store", "tcp://127.0.0.1:*", &clock_);
    endpoint_ = aggregator_->endpoint();
    spool_ = *Spool::Open({.folder = folder_ + "/spool"});
    pipeline_ = std::make_unique<Pipeline>(PipelineOptions{.seed = 1}, &clock_, spool_.get(), nullptr);
    transport_ = *MakeZmqClient({.endpoints = {endpoint_}});
    UplinkOptions options;
    options.node = "n1";
    options.reconnect_max_ns = 200 * kNsPerMs;
    uplink_ = std::make_unique<Uplink>(options, &clock_, transport_.get(), spool_.get(), &answering_);
  }
  ~RealRoad() override {
    uplink_.reset();
    transport_.reset();
    aggregator_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Pass(int value) {
    Emitter& leaf = pipeline_->Leaf("road");
    pipeline_->BeginPass(leaf, clock_.UnixNs());
    for (const char* device : {"sda", "sdb"}) {
      leaf.Sample({"disk_total", v1::METRIC_TYPE_COUNTER, "Disk."}, {{"device", device}}, value);
    }
    if (value % 2 == 0) leaf.Sample({"even", v1::METRIC_TYPE_GAUGE, "Even."}, {}, value);
    pipeline_->EndPass(leaf, true);
    v1::Event event;
    event.set_type("pass");
    leaf.Event(std::move(event), {});
    pipeline_->Flush();
  }
  // Steps the uplink as the loop does until `done`.
  bool StepUntil(const std::function<bool()>& done) {
    const auto deadline = Steady::now() + seconds(30);
    while (Steady::now() < deadline) {
      const int64_t wait_ns = uplink_->Step() - clock_.SteadyNs();
      if (done()) return true;
      pollfd readable{transport_->fd(), POLLIN, 0};
      poll(&readable, 1, static_cast<int>(std::clamp<int64_t>(wait_ns / kNsPerMs, 1, 50)));
    }
    return false;
  }
  std::vector<Sample> Stored(const std::string& name, const std::string& device) {
    std::vector<LabelMatcher> matchers = {{LabelMatcher::Op::kEqual, "__name__", name}};
    if (!device.empty()) matchers.push_back({LabelMatcher::Op::kEqual, "device", device});
    const auto ids = aggregator_->store().Select(matchers, 0, INT64_MAX / 2);
    if (!ids || ids->size() != 1) return {};
    return aggregator_->store().Fetch(ids->front(), 0, INT64_MAX / 2).value_or(std::vector<Sample>());
  }

  SystemClock clock_;
  std::string folder_, endpoint_;
  std::unique_ptr<Aggregator> aggregator_;
  Answering answering_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<Pipeline> pipeline_;
  std::unique_ptr<ClientTransport> transport_;
  std::unique_ptr<Uplink> uplink_;
};

TEST_F(RealRoad, WhatALeafEmitsIsStoredOnceAcrossARestart) {
  constexpr int kPasses = 40;
  for (int i = 0; i < kPasses; ++i) {
    Pass(i);
    uplink_->Step();
    if (i == 10 || i == 25) {
      aggregator_.reset();
      Pass(++i);
      aggregator_ = std::make_unique<Aggregator>(folder_ + "/store", endpoint_, &clock_);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(3));  // stamps must differ
  }
  ASSERT_TRUE(StepUntil([&] { return spool_->batches() == 0; })) << uplink_->last_refusal();
  for (const char* device : {"sda", "sdb"}) {
    const auto samples = Stored("disk_total", device);
    ASSERT_EQ(samples.size(), static_cast<size_t>(kPasses)) << device;
    for (int i = 0; i < kPasses; ++i) EXPECT_EQ(samples[static_cast<size_t>(i)].value, i);
  }
  const auto even = Stored("even", "");
  EXPECT_EQ(even.size(), static_cast<size_t>(kPasses));  // each second one says that it ended
  EXPECT_TRUE(IsStale(even[1].value));
  const auto events = aggregator_->store().Events(0, INT64_MAX, 1000);
  ASSERT_TRUE(events.has_value());
  EXPECT_EQ(events->size(), static_cast<size_t>(kPasses));
  EXPECT_EQ(spool_->counters().delivered_records, pipeline_->produced());
  const auto nodes = aggregator_->fleet().Nodes();
  ASSERT_EQ(nodes.size(), 1u);
  EXPECT_EQ(nodes[0].node, "n1");
}

TEST_F(RealRoad, AWipedStoreGetsTheDefinitionsAgain) {
  Pass(0);
  ASSERT_TRUE(StepUntil([&] { return spool_->batches() == 0; }));
  aggregator_.reset();
  std::filesystem::remove_all(folder_ + "/store");
  aggregator_ = std::make_unique<Aggregator>(folder_ + "/store", endpoint_, &clock_);
  Pass(1);
  ASSERT_TRUE(StepUntil([&] { return spool_->batches() == 0; })) << uplink_->last_refusal();
  EXPECT_EQ(spool_->counters().dropped_records, 0u);
  const auto samples = Stored("disk_total", "sda");
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].value, 1);
}

TEST_F(RealRoad, ACommandIsAnswered) {
  ASSERT_TRUE(StepUntil([&] { return uplink_->connected(); }));
  std::atomic<bool> answered = false;
  Result<v1::CommandReply> reply = Fail(ErrorCode::kInternal, "not called");
  std::thread caller([&] {
    v1::Command command;
    command.set_deadline_unix_ns(clock_.UnixNs() + 20 * kNsPerSecond);
    command.mutable_list_faults();
    reply = aggregator_->fleet().Call("n1", std::move(command));
    answered = true;
  });
  EXPECT_TRUE(StepUntil([&] { return answered.load(); }));
  caller.join();
  ASSERT_TRUE(reply.has_value()) << reply.error().message;
  EXPECT_EQ(reply->faults(0).fault_uid(), "f1");
}

}  // namespace
}  // namespace faultline
