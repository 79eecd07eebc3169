#include "agent/collector_host.h"
#include "agent/probes/probe.h"
#include "faultline/v1/config.pb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace faultline {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr MetricFamily kA{"a", v1::METRIC_TYPE_GAUGE, "A."};
constexpr MetricFamily kB{"b", v1::METRIC_TYPE_GAUGE, "B."};

class CountingSink final : public BatchSink {
 public:
  Result<void> Put(Lane, v1::Batch& batch, uint64_t) override {
    for (const auto& frame : batch.frames()) {
      stamps.push_back(frame.time_unix_ms());
      samples.push_back(frame.values_size());
    }
    return {};
  }
  bool Congested(LogRoom) const override { return false; }
  Result<void> StartSession() override { return {}; }
  std::vector<int64_t> stamps;
  std::vector<int> samples;  // of each frame
};

// Of several threads, unlike ManualClock.
class SharedClock final : public Clock {
 public:
  int64_t UnixNs() const override { return 1'700'000'000 * kNsPerSecond + ns_; }
  int64_t SteadyNs() const override { return 1 + ns_; }
  void Advance(int64_t ns) { ns_ += ns; }

 private:
  std::atomic<int64_t> ns_{0};
};

class ScriptedCollector final : public Collector {
 public:
  explicit ScriptedCollector(std::function<Result<void>(Emitter&)> script, int fd = -1)
      : script_(std::move(script)), fd_(fd) {}
  Result<void> Collect(Emitter& out) override { return script_(out); }
  std::optional<int> wake_fd() const override { return fd_ < 0 ? std::nullopt : std::optional(fd_); }

 private:
  std::function<Result<void>(Emitter&)> script_;
  int fd_;
};

// A gate that a leaf hangs on until the test opens it.
class Gate {
 public:
  void Pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void AwaitSomebody() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(10), [&] { return waiting_ > 0; }));
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  int visits() {
    const std::lock_guard lock(mutex_);
    return waiting_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool open_ = false;
};

class CollectorHostTest : public ::testing::Test {
 protected:
  CollectorHostTest() {
    config_->mutable_collect()->mutable_period()->set_seconds(1);
    config_->mutable_collect()->mutable_timeout()->set_seconds(3);
    (*config_->mutable_collectors())["slow"].mutable_period()->set_seconds(5);
    (*config_->mutable_collectors())["off"].set_enabled(false);
    pipeline_ = std::make_unique<Pipeline>(PipelineOptions{.max_series = 1000}, &clock_, &sink_, nullptr);
    MakeHost();
  }
  void MakeHost() {
    auto host = std::make_shared<HostView>();
    host->clock = &clock_;
    leaves_ = std::make_unique<CollectorHost>(host, config_, nullptr, pipeline_.get(),
                                              [this](std::function<void()> work) {
                                                const std::lock_guard lock(mutex_);
                                                posted_.push_back(std::move(work));
                                                came_.notify_all();
                                              });
  }
  void Add(std::string_view name, std::function<Result<void>(Emitter&)> script, bool may_block = false) {
    leaves_->AddMade("collector", name, "doc", may_block, std::make_unique<ScriptedCollector>(std::move(script)));
  }
  // Runs the next posted work; false if none comes in time.
  bool RunPosted() {
    std::unique_lock lock(mutex_);
    if (!came_.wait_for(lock, std::chrono::seconds(10), [&] { return !posted_.empty(); })) return false;
    auto work = std::move(posted_.front());
    posted_.pop_front();
    lock.unlock();
    work();
    return true;
  }
  LeafReport Report(std::string_view name) const {
    for (const LeafReport& report : leaves_->Leaves()) {
      if (report.name == name) return report;
    }
    return {};
  }
  void Second() {
    clock_.Advance(kNsPerSecond);
    leaves_->Tick();
  }

  // Static: a thread that hung may look at it after its test.
  static inline SharedClock clock_;
  CountingSink sink_;
  const std::shared_ptr<v1::AgentConfig> config_ = std::make_shared<v1::AgentConfig>();
  std::unique_ptr<Pipeline> pipeline_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<std::function<void()>> posted_;
  std::unique_ptr<CollectorHost> leaves_;
};

Result<void> EmitA(Emitter& out) {
  out.Sample(kA, {}, 1);
  return {};
}

TEST_F(CollectorHostTest, LeavesShareOneStampPerTickAndPassesBeginAtMultiplesOfTheirPeriod) {
  std::vector<int64_t> slow;  // seconds
  Add("fast", EmitA);
  Add("slow", [&](Emitter&) -> Result<void> {
    slow.push_back(clock_.UnixNs() / kNsPerSecond);
    return {};
  });
  EXPECT_EQ(leaves_->tick_ns(), kNsPerSecond);
  for (int i = 0; i < 10; ++i) Second();
  pipeline_->Flush();
  // At once, and then at multiples.
  ASSERT_GE(slow.size(), 2u);
  for (size_t i = 1; i < slow.size(); ++i) EXPECT_EQ(slow[i] % 5, 0) << i;
  EXPECT_LE(slow.size(), 3u);
  EXPECT_EQ(Report("fast").passes, 10u);
  // One frame per tick: everything in it has the same time.
  ASSERT_EQ(sink_.stamps.size(), 10u);
  EXPECT_EQ(sink_.stamps[1] - sink_.stamps[0], 1000);
}

TEST_F(CollectorHostTest, BetweenPassesWhatHasChangedGoesOutAtOnceFromCollectorsThatTakeNoTime) {
  config_->mutable_collect()->mutable_changes_period()->set_nanos(500 * kNsPerMs);
  MakeHost();
  double changing = 0;
  int slow_passes = 0;
  Add("quick", [&](Emitter& out) -> Result<void> {
    out.Sample(kA, {}, changing++);
    out.Sample(kB, {}, 7);
    return {};
  });
  Add("weighty", [&](Emitter&) -> Result<void> {
    ++slow_passes;
    clock_.Advance(kNsPerMs);  // more than a 2,000th of half a second
    return {};
  });
  EXPECT_EQ(leaves_->tick_ns(), 500 * kNsPerMs);
  clock_.Advance(kNsPerSecond - clock_.UnixNs() % kNsPerSecond);
  for (int i = 0; i < 10; ++i) {
    leaves_->Tick();
    clock_.Advance(500 * kNsPerMs - clock_.UnixNs() % (500 * kNsPerMs));
  }
  pipeline_->Flush();
  EXPECT_EQ(slow_passes, 5);
  EXPECT_EQ(Report("quick").passes, 5u);  // changes are no passes
  ASSERT_EQ(sink_.stamps.size(), 10u);
  for (size_t i = 0; i < 10; ++i) {
    // A pass: a, b, and duration and success of both leaves. Between: a.
    EXPECT_EQ(sink_.samples[i], i % 2 == 0 ? 6 : 1) << i;
    EXPECT_EQ(sink_.stamps[i] - sink_.stamps[0], 500 * static_cast<int64_t>(i));
  }
  // What is not sent again has not ended.
  EXPECT_THAT(pipeline_->RenderMetrics(), HasSubstr("\nb 7\n"));
}

// Each probe of the catalogue whose section in the configuration has a period is run with it.
TEST_F(CollectorHostTest, ProbesHaveTheirOwnPeriods) {
  auto host = std::make_shared<HostView>();
  host->clock = &clock_;
  auto config = std::make_shared<v1::AgentConfig>();
  config->mutable_collect()->mutable_period()->set_seconds(1);
  const auto* sections = v1::ProbesConfig::descriptor();
  std::vector<std::string> with_period;
  for (const CollectorRow& row : ProbeCatalogue()) {
    const auto* section = sections->FindFieldByName(std::string(row.name));
    if (section == nullptr || section->message_type()->FindFieldByName("period") == nullptr) continue;
    v1::ProbesConfig* probes = config->mutable_probes();
    auto* message = probes->GetReflection()->MutableMessage(probes, section);
    auto* period = message->GetReflection()->MutableMessage(
        message, message->GetDescriptor()->FindFieldByName("period"));
    static_cast<google::protobuf::Duration*>(period)->set_seconds(3);
    with_period.emplace_back(row.name);
  }
  EXPECT_EQ(with_period.size() + 1, ProbeCatalogue().size());  // all but the budget
  CollectorHost leaves(host, config, nullptr, pipeline_.get(), [](auto) {});
  int passes = 0;
  for (const std::string& name : with_period) {
    leaves.AddMade("probe", name, "doc", false,
                   std::make_unique<ScriptedCollector>([&](Emitter&) -> Result<void> {
                     ++passes;
                     return {};
                   }));
  }
  leaves.AddMade("probe", "budget", "doc", false, std::make_unique<ScriptedCollector>(EmitA));
  EXPECT_EQ(leaves.tick_ns(), kNsPerSecond);
  clock_.Advance(3 * kNsPerSecond - clock_.UnixNs() % (3 * kNsPerSecond));
  for (int i = 0; i < 9; ++i) {
    leaves.Tick();
    clock_.Advance(kNsPerSecond);
  }
  EXPECT_EQ(passes, 3 * static_cast<int>(with_period.size()));
  for (const LeafReport& report : leaves.Leaves())
    EXPECT_EQ(report.period_ms, report.name == "budget" ? 1000 : 3000) << report.name;
}

TEST_F(CollectorHostTest, FailureAndNoDataAreToldApart) {
  Add("good", EmitA);
  Add("bad", [](Emitter&) -> Result<void> { return Fail(ErrorCode::kCorruption, "line 3"); });
  Add("absent", [](Emitter&) -> Result<void> { return Fail(ErrorCode::kNotFound, "no /proc/x"); });
  Second();
  EXPECT_TRUE(Report("good").success);
  EXPECT_EQ(Report("bad").failures, 1u);
  EXPECT_EQ(Report("bad").reason, "line 3");
  EXPECT_EQ(Report("absent").failures, 0u);
  EXPECT_EQ(Report("absent").no_data, 1u);
  const std::string text = pipeline_->RenderMetrics();
  EXPECT_THAT(text, HasSubstr("node_scrape_collector_success{collector=\"good\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("node_scrape_collector_success{collector=\"bad\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("node_scrape_collector_duration_seconds{collector=\"bad\"} "));
}

TEST_F(CollectorHostTest, SwitchedOffAndImpossibleLeavesAreListedWithTheReason) {
  static constexpr CollectorRow kOff{"off", "doc", true, false,
                                     [](const LeafContext&) -> Result<std::unique_ptr<Collector>> {
                                       return std::make_unique<ScriptedCollector>(EmitA);
                                     }};
  static constexpr CollectorRow kImpossible{"impossible", "doc", true, false,
                                            [](const LeafContext&) -> Result<std::unique_ptr<Collector>> {
                                              return Fail(ErrorCode::kUnsupported, "unsupported: no BTF");
                                            }};
  leaves_->Add("collector", kOff);
  leaves_->Add("probe", kImpossible);
  EXPECT_FALSE(Report("off").running);
  EXPECT_THAT(Report("off").reason, HasSubstr("not enabled"));
  EXPECT_EQ(Report("impossible").reason, "unsupported: no BTF");
  EXPECT_TRUE(leaves_->Tick());
}

TEST_F(CollectorHostTest, ABlockingLeafIsReplayedWithTheStampOfItsTick) {
  Add("statfs", EmitA, true);
  int idle = 0;
  leaves_->OnIdle([&] { ++idle; });
  EXPECT_FALSE(leaves_->Tick());
  const int64_t tick_ms = clock_.UnixNs() / kNsPerMs;
  clock_.Advance(200 * kNsPerMs);
  ASSERT_TRUE(RunPosted());
  EXPECT_EQ(idle, 1);
  pipeline_->Flush();
  ASSERT_FALSE(sink_.stamps.empty());
  EXPECT_EQ(sink_.stamps[0], tick_ms);
  EXPECT_TRUE(Report("statfs").success);
}

TEST_F(CollectorHostTest, AHungLeafDelaysNobodyAndIsReportedAfterItsTimeout) {
  auto gate = std::make_shared<Gate>();
  bool hang = false;
  Add("mounts", [&hang, gate](Emitter& out) -> Result<void> {
    if (hang) gate->Pass();
    out.Sample(kB, {}, 1);
    return {};
  }, true);
  Add("fast", EmitA);
  Second();
  ASSERT_TRUE(RunPosted());
  EXPECT_THAT(pipeline_->RenderMetrics(), HasSubstr("\nb 1\n"));

  hang = true;
  Second();
  gate->AwaitSomebody();
  for (int i = 0; i < 9; ++i) Second();
  EXPECT_EQ(Report("fast").passes, 11u);
  EXPECT_FALSE(Report("mounts").success);
  EXPECT_THAT(Report("mounts").reason, HasSubstr("no answer for"));
  EXPECT_TRUE(leaves_->HasStuckLeaf());
  EXPECT_EQ(gate->visits(), 1);  // no second thread, no second pass
  EXPECT_THAT(pipeline_->RenderMetrics(), Not(HasSubstr("\nb 1\n")));
  EXPECT_THAT(pipeline_->RenderMetrics(),
              HasSubstr("node_scrape_collector_success{collector=\"mounts\"} 0\n"));
  // A tick is idle all the same: nobody waits for the hung one.
  EXPECT_TRUE(leaves_->Tick());

  hang = false;
  gate->Open();
  ASSERT_TRUE(RunPosted());
  Second();
  ASSERT_TRUE(RunPosted());
  EXPECT_TRUE(Report("mounts").success);
  EXPECT_FALSE(leaves_->HasStuckLeaf());
}

TEST_F(CollectorHostTest, TheHostCanGoWhileALeafHangs) {
  auto gate = std::make_shared<Gate>();
  Add("mounts", [gate](Emitter&) -> Result<void> {
    gate->Pass();
    return {};
  }, true);
  leaves_->Tick();
  gate->AwaitSomebody();
  leaves_.reset();
  gate->Open();
}

TEST_F(CollectorHostTest, WakeCollectsWithoutEndingSeries) {
  int calls = 0;
  leaves_->AddMade("probe", "events", "doc", false,
                   std::make_unique<ScriptedCollector>([&](Emitter& out) -> Result<void> {
                     if (++calls == 1) out.Sample(kA, {}, 1);
                     return {};
                   }, 0));
  ASSERT_EQ(leaves_->Wakers().size(), 1u);
  leaves_->Tick();
  leaves_->Wake(leaves_->Wakers()[0].leaf);
  EXPECT_EQ(calls, 2);
  EXPECT_THAT(pipeline_->RenderMetrics(), HasSubstr("\na 1\n"));
}

TEST_F(CollectorHostTest, ProbesAreSwitchedBySectionAndAsAWhole) {
  v1::AgentConfig config;
  const CollectorRow tcp{"tcp", "doc"};
  EXPECT_TRUE(LeafEnabled(config, "probe", tcp));
  config.mutable_probes()->mutable_tcp()->set_enabled(false);
  EXPECT_FALSE(LeafEnabled(config, "probe", tcp));
  config.mutable_probes()->mutable_tcp()->set_enabled(true);
  config.mutable_probes()->set_enabled(false);
  EXPECT_FALSE(LeafEnabled(config, "probe", tcp));
}

}  // namespace
}  // namespace faultline
