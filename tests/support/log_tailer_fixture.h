// The tailer on real files in a folder of its own. Time is manual: a pass happens when the test
// says so, and lingering and rescans when it moves the clock.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/logs/log_tailer.h"
#include "common/text.h"
#include "faultline/v1/config.pb.h"
#include "tests/support/temp_tree.h"

namespace faultline {

// What the agent's spool keeps: how far each file was taken. Chunks are checked as the aggregator
// would store them.
class TailedStore final : public Emitter {
 public:
  using Emitter::Sample;
  void Sample(const MetricFamily& family, LabelViews labels, double value) override {
    std::string key(family.name);
    for (const LabelView& label : labels) key += fmt::format(",{}={}", label.name, label.value);
    samples[key] = value;
  }
  void SampleOf(const Origin&, const MetricFamily&, LabelViews, double) override {}
  bool Logs(LogChunk&& chunk) override {
    if (only_at_risk && !chunk.at_risk) return false;
    size_t bytes = 0;
    for (const LogChunk::Record& record : chunk.records) bytes += record.body.size();
    if (only_short && bytes > 4096 && !chunk.continues) return false;
    if (refuse > 0 && !chunk.continues) {
      --refuse;
      return false;
    }
    saved += chunk.at_risk ? chunk.records.size() : 0;
    uint64_t& end = positions[chunk.file_id];
    for (LogChunk::Record& record : chunk.records) {
      EXPECT_LT(record.offset, chunk.end_offset);
      if (record.offset < end) {
        ++duplicates;
        continue;
      }
      std::string labels;
      for (const auto& [name, value] : chunk.stream_labels)
        labels += fmt::format("{}={},", name, value);
      streams[labels].push_back(std::move(record));
    }
    EXPECT_GE(chunk.end_offset, chunk.begin_offset);
    end = std::max(end, chunk.end_offset);
    return true;
  }
  void Event(v1::Event&&, const Origin&) override {}
  void Span(v1::Span&&, const Origin&) override {}
  void Fault(v1::FaultTransition&&) override {}
  void Inventory(v1::Inventory&&) override {}
  void Dropped(std::string_view reason, uint64_t count) override {
    dropped[std::string(reason)] += count;
  }

  std::vector<std::string> Bodies() const {
    std::vector<std::string> bodies;
    for (const auto& [labels, records] : streams) {
      for (const auto& record : records) bodies.push_back(record.body);
    }
    return bodies;
  }

  std::map<uint64_t, uint64_t> positions;
  std::map<std::string, std::vector<LogChunk::Record>> streams;
  std::map<std::string, double> samples;
  std::map<std::string, uint64_t> dropped;
  uint64_t duplicates = 0;  // what came again and was recognised
  uint64_t saved = 0;       // that came as those of a file that is going
  int refuse = 0;
  bool only_at_risk = false;
  bool only_short = false;
};

class LogTailerTest : public testing::Test {
 protected:
  LogTailerTest() {
    host_.fs = FsRoot(tree_.root());
    host_.clock = &clock_;
    config_.set_pods_root("/var/log/pods");
    config_.set_containers_root("/var/log/containers");
    config_.add_docker_roots("/var/lib/docker/containers");
    config_.set_max_line_bytes(4096);
    config_.set_held_max_bytes(1 << 30);
    config_.mutable_held_max_age()->set_seconds(3600);
  }

  void Start() {
    tailer_.reset();
    const LogPositions positions{
        .find = [this](uint64_t id) -> std::optional<uint64_t> {
          uint64_t end = 0;
          for (const auto* known : {&store_.positions, &skipped_}) {
            const auto found = known->find(id);
            if (found != known->end()) end = std::max(end, found->second);
          }
          return end == 0 && !unread_.contains(id) ? std::nullopt : std::optional(end);
        },
        .skip = [this](uint64_t id, uint64_t position) { skipped_[id] = position; },
        .forget = [this](uint64_t id) { store_.positions.erase(id); },
        .in_backlog = [this](uint64_t id) { return in_backlog_.contains(id); },
        .note_unread =
            [this](const std::vector<UnreadLog>& logs) {
              for (const UnreadLog& log : logs) {
                log.size == 0 ? (void)unread_.erase(log.file_id) : (void)(unread_[log.file_id] = log);
              }
            },
        .unread =
            [this] {
              std::vector<UnreadLog> logs;
              for (const auto& [id, log] : unread_) logs.push_back(log);
              return logs;
            }};
    tailer_ = std::make_unique<LogTailer>(host_, config_, Treatments(), positions,
                                          std::span<LogObserver* const>(), limits_);
  }
  std::shared_ptr<const LogTreatments> Treatments() {
    auto made = LogTreatments::Make(config_);
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return *std::move(made);
  }
  void Pass() { ASSERT_TRUE(tailer_->Collect(store_)); }
  // Until nothing new comes, with time moving.
  void Drain() {
    for (int i = 0; i < 40; ++i) {
      clock_.Advance(kNsPerSecond);
      Pass();
    }
  }
  std::string Path(std::string_view path) const { return tree_.root() + std::string(path); }
  void Append(std::string_view path, std::string_view text) {
    std::filesystem::create_directories(std::filesystem::path(Path(path)).parent_path());
    std::ofstream(Path(path), std::ios::app | std::ios::binary) << text;
  }
  void Rename(std::string_view from, std::string_view to) {
    std::filesystem::rename(Path(from), Path(to));
  }

  static std::string Cri(std::string_view text, std::string_view stream = "stdout",
                         std::string_view tag = "F") {
    static int64_t now = 1'795'176'000 * kNsPerSecond;
    return fmt::format("{} {} {} {}\n", FormatTime(now += 1000), stream, tag, text);
  }

  static constexpr std::string_view kPod = "/var/log/pods/default_web-1_0a1b/nginx/0.log";

  TempTree tree_;
  ManualClock clock_{1'795'176'000 * kNsPerSecond};
  HostView host_;
  v1::LogsConfig config_;
  LogTailerLimits limits_;
  TailedStore store_;
  std::set<uint64_t> in_backlog_;
  std::map<uint64_t, UnreadLog> unread_;
  std::map<uint64_t, uint64_t> skipped_;  // as the spool keeps them, which the aggregator does not
  std::unique_ptr<LogTailer> tailer_;
};

using Bodies = std::vector<std::string>;

// As kubelet compresses: beside, then renamed.
inline void Zip(const std::string& path) {
  std::ifstream from(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(from)), {});
  gzFile to = gzopen((path + ".tmp").c_str(), "wb");
  gzwrite(to, text.data(), static_cast<unsigned>(text.size()));
  gzclose(to);
  std::filesystem::rename(path + ".tmp", path + ".gz");
  std::filesystem::remove(path);
}

}  // namespace faultline
