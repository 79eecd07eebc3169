// Where leaves put what they observe. A leaf never sees time stamps of samples, pods, batches or the
// wire: it says what it saw and of whom (Origin); the frame behind this interface does the rest.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "faultline/v1/record.pb.h"

namespace faultline {

struct LabelView {
  std::string_view name;
  std::string_view value;
};
using LabelViews = std::span<const LabelView>;

// Views must outlive the call only; the pipeline copies what it does not know yet.
struct MetricFamily {
  std::string_view name;
  v1::MetricType type = v1::METRIC_TYPE_UNTYPED;
  std::string_view help;
};

// Whom a record is about; the pipeline resolves it to namespace, pod and container. Give what you
// have: all empty means the node itself.
struct Origin {
  uint64_t cgroup_id = 0;        // inode in the unified (v2) hierarchy, as bpf_get_current_cgroup_id
  std::string_view cgroup_path;  // below the cgroup root: /kubepods/burstable/pod…/…
  uint32_t pid = 0;
  bool empty() const { return cgroup_id == 0 && cgroup_path.empty() && pid == 0; }
};

// Log records of one stream that were read from one file, in order.
struct LogChunk {
  struct Record {
    int64_t time_unix_ns = 0;  // 0: the time it was read
    v1::Severity severity = v1::SEVERITY_UNSPECIFIED;
    std::string body;
    std::vector<std::pair<std::string, std::string>> attributes;
    uint64_t offset = 0;
  };
  std::vector<std::pair<std::string, std::string>> stream_labels;  // sorted by name
  std::vector<Record> records;
  uint64_t file_id = 0;  // 0: not from a file that can be read again
  uint64_t begin_offset = 0;
  uint64_t end_offset = 0;
  // Its file has lost its name and goes when the agent goes: kept on disk at once, up to the bound
  // of that, where other lines would wait in their files.
  bool at_risk = false;
  // Of one slice with the chunk before it: taken if that one was, and in the same batch.
  bool continues = false;
};

// Not thread-safe: the frame hands each leaf an emitter of the leaf's own thread.
class Emitter {
 public:
  virtual ~Emitter() = default;

  // One sample, stamped with the time of this pass. Labels in any order, without `node`.
  virtual void Sample(const MetricFamily& family, LabelViews labels, double value) = 0;
  // One sample about a container; the labels namespace, pod, container and id are added.
  virtual void SampleOf(const Origin& origin, const MetricFamily& family, LabelViews labels,
                        double value) = 0;
  // False: nothing was taken, come again with the same chunk (back-pressure).
  virtual bool Logs(LogChunk&& chunk) = 0;
  // `event.time_unix_ns` 0 means now. The subject is completed from `origin`.
  virtual void Event(v1::Event&& event, const Origin& origin) = 0;
  virtual void Span(v1::Span&& span, const Origin& origin) = 0;
  virtual void Fault(v1::FaultTransition&& transition) = 0;
  virtual void Inventory(v1::Inventory&& inventory) = 0;
  // An urgent one does not wait for the next tick. Emitters that carry no checks count it.
  virtual void Check(v1::CheckResult&& /*result*/, bool /*urgent*/) { Dropped("check_not_carried", 1); }
  // Something this leaf had to give up: counted as faultline_dropped_total{leaf,reason}.
  virtual void Dropped(std::string_view reason, uint64_t count) = 0;

  void Sample(const MetricFamily& family, std::initializer_list<LabelView> labels, double value) {
    Sample(family, LabelViews(labels.begin(), labels.size()), value);
  }
  void SampleOf(const Origin& origin, const MetricFamily& family,
                std::initializer_list<LabelView> labels, double value) {
    SampleOf(origin, family, LabelViews(labels.begin(), labels.size()), value);
  }
};

}  // namespace faultline
