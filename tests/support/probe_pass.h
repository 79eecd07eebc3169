// One probe of the catalogue on the real kernel, with the real container index. Skips with the
// reason where the kernel or the user's rights do not allow it.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <string>
#include <string_view>

#include "agent/probes/probe.h"
#include "agent/probes/probe_books.h"
#include "common/clock.h"
#include "faultline/v1/config.pb.h"
#include "tests/support/recording_emitter.h"

namespace faultline {

class ProbePass : public testing::Test {
 protected:
  // Call it first; ends the test as skipped when it returns false.
  bool Make(std::string_view probe) {
    auto index = ContainerIndex::Create(host_, config_);
    if (!index) {
      Skip(index.error().message);
      return false;
    }
    index_ = std::move(*index);
    EXPECT_TRUE(index_->Refresh());
    return Load(probe);
  }
  // Again, after the index was made and config_ changed.
  bool Load(std::string_view probe) {
    for (const CollectorRow& row : ProbeCatalogue()) {
      if (row.name != probe) continue;
      auto made = row.make(LeafContext{host_, config_, index_.get()});
      if (!made) {
        Skip(made.error().message);
        return false;
      }
      probe_ = std::move(*made);
      return true;
    }
    ADD_FAILURE() << probe << " is not in the catalogue";
    return false;
  }

  void Collect() {
    EXPECT_TRUE(index_->Refresh());
    out.Clear();
    const auto result = probe_->Collect(out);
    EXPECT_TRUE(result) << result.error().message;
    EXPECT_EQ(out.complaints, std::vector<std::string>());
  }
  // Waits until the probe's descriptor is readable.
  bool AwaitWake(int timeout_ms) const {
    pollfd watched{probe_->wake_fd().value_or(-1), POLLIN, 0};
    return poll(&watched, 1, timeout_ms) == 1;
  }
  // Of the cgroup at `path`, or of the node if that is empty; -1 if there is no such series.
  double Value(std::string_view path, std::string_view series) const {
    for (const auto& sample : out.samples) {
      if (sample.origin.cgroup_path == path && RecordingEmitter::SeriesText(sample) == series)
        return sample.value;
    }
    return -1;
  }
  // The probe's books must balance to the event. Its programs are taken away first, so that the
  // machine, which goes on, adds nothing while they are read; `out` is then of the last pass.
  void ExpectBooksBalance(const std::string& probe) {
    for (ProbeBooks* books : ProbeBooks::Ledger()) {
      if (books->probe() == probe) books->Rest();
    }
    Collect();
    double produced = 0, others = 0;
    for (const auto& sample : out.samples) {
      const auto label = sample.labels.find("probe");
      if (label == sample.labels.end() || label->second != probe) continue;
      if (sample.name == "faultline_probe_produced_total") produced = sample.value;
      if (sample.name == "faultline_probe_delivered_total" ||
          sample.name == "faultline_probe_dropped_total" ||
          sample.name == "faultline_probe_pending") {
        others += sample.value;
      }
    }
    EXPECT_GT(produced, 0);
    EXPECT_EQ(produced, others);
  }

  SystemClock clock_;
  const HostView host_ = HostView::Real("/", &clock_);
  v1::AgentConfig config_;
  std::unique_ptr<ContainerIndex> index_;
  std::unique_ptr<Collector> probe_;
  RecordingEmitter out;

 private:
  static void Skip(const std::string& reason) { GTEST_SKIP() << reason; }
};

}  // namespace faultline
