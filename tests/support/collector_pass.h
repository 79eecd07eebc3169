// One pass of one collector over a folder of fixture files.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <string>
#include <string_view>

#include "agent/collectors/collector.h"
#include "faultline/v1/config.pb.h"
#include "tests/support/paths.h"
#include "tests/support/recording_emitter.h"

namespace faultline {

// 2026-11-20T12:00:00Z
inline constexpr int64_t kFixtureTimeNs = 1'795'176'000 * kNsPerSecond;

class CollectorPass {
 public:
  // `root` is a folder; CollectorPass::Fixture("host-small") names one of tests/fixtures.
  CollectorPass(std::string_view collector, const std::string& root, v1::AgentConfig config = {})
      : config_(std::move(config)) {
    host_.fs = FsRoot(root);
    host_.clock = &clock_;
    // Only fixtures with a cgroup file system have containers.
    if (auto index = ContainerIndex::Create(host_, config_)) containers_ = std::move(*index);
    for (const CollectorRow& row : CollectorCatalogue()) {
      if (row.name != collector) continue;
      auto made = row.make(LeafContext{host_, config_, containers_.get()});
      if (made) collector_ = std::move(*made);
      result_ = made ? Result<void>() : std::unexpected(made.error());
      return;
    }
    ADD_FAILURE() << collector << " is not in the catalogue";
  }
  static std::string Fixture(std::string_view name) {
    return SourceDir() + "/tests/fixtures/" + std::string(name);
  }

  // The text of one more pass; the error's text when it failed.
  std::string Run() {
    out.Clear();
    if (containers_) {
      EXPECT_TRUE(containers_->Refresh());
    }
    if (collector_) result_ = collector_->Collect(out);
    EXPECT_EQ(out.complaints, std::vector<std::string>());
    if (result_) return out.Text();
    return std::string(ErrorCodeName(result_.error().code)) + ": " + result_.error().message;
  }
  // Waits until the collector's descriptor is readable, then wakes it. False: it slept for 10 s.
  bool Wake() {
    out.Clear();
    if (!collector_ || !collector_->wake_fd()) return false;
    pollfd waiting{.fd = *collector_->wake_fd(), .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, 10'000) != 1) return false;
    result_ = collector_->Wake(out);
    return true;
  }
  const Result<void>& result() const { return result_; }
  ManualClock& clock() { return clock_; }

  RecordingEmitter out;

 private:
  ManualClock clock_{kFixtureTimeNs};
  HostView host_;
  v1::AgentConfig config_;
  std::unique_ptr<ContainerIndex> containers_;
  std::unique_ptr<Collector> collector_;
  Result<void> result_;
};

}  // namespace faultline
