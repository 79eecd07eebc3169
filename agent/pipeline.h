// Stamp, attribute, filter, batch: from what leaves say to what goes over the wire. One Emitter per leaf; all of it on
// the agent's thread. produced() = delivered + sum of dropped() once the sink is empty: nothing leaves uncounted.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/containers/container_index.h"
#include "agent/series_table.h"
#include "common/clock.h"
#include "common/emitter.h"
#include "common/result.h"

namespace faultline {

// Log lines that can be read again wait in their files when there is no room for them; each kind has more than the one before.
enum class LogRoom : uint8_t {
  kBulk,    // of what there is much of
  kShort,   // a chunk of at most kShortChunkBytes: the line of a quiet file does not wait for a noisy one
  kAtRisk,  // of files that are going
};
constexpr size_t kShortChunkBytes = 4096;

// Two queues to the aggregator, each with its own references. What is saved of files that are going, of which there may be
// much, stands in the backlog, in front of nothing else.
enum class Lane : uint8_t { kPrompt, kBacklog };

// Where batches go: the spool, or the printer of --once.
class BatchSink {
 public:
  virtual ~BatchSink() = default;
  Result<void> Put(v1::Batch& batch, uint64_t records) { return Put(Lane::kPrompt, batch, records); }
  // Sets session and sequence. On an error nothing was taken. A batch of the backlog arrives after the prompt ones that were
  // put before it.
  virtual Result<void> Put(Lane lane, v1::Batch& batch, uint64_t records) = 0;
  // True when such lines should rather wait in their files.
  virtual bool Congested(LogRoom room) const = 0;
  // What follows belongs to new sessions: references start again.
  virtual Result<void> StartSession() = 0;
};

struct PipelineOptions {
  uint32_t max_series = 50000;
  size_t max_batch_bytes = size_t{256} << 10;  // estimated, before compression
  uint32_t max_log_streams = 20000;           // per session
  uint32_t max_session_refs = 90000;          // a new session begins beyond: aggregators bound what they know
  uint64_t seed = 0;
  // Called when a record waits that no tick will flush: call Flush within 50 ms.
  std::function<void()> want_flush;
};

class Pipeline {
 public:
  using DropKey = std::pair<std::string, std::string>;  // leaf, reason

  // `containers` may be null. Everything outlives the pipeline.
  Pipeline(PipelineOptions options, const Clock* clock, BatchSink* sink, ContainerIndex* containers);
  ~Pipeline();

  // The emitter of a leaf; the same name gives the same one. Lives as long as the pipeline.
  Emitter& Leaf(const std::string& name);
  enum class Pass : uint8_t { kAll, kChanges };
  // Samples of `leaf` are stamped with `unix_ns` until the next Begin. Of kChanges only those go out whose value is not the
  // one that it had before.
  void BeginPass(Emitter& leaf, int64_t unix_ns, Pass pass = Pass::kAll);
  // `complete`: what the leaf did not emit since Begin has ended.
  void EndPass(Emitter& leaf, bool complete);

  // Hands what `leaf` received for the aggregator to the sink, in a batch of its own, now. On an error nothing was kept:
  // kUnavailable when logs wait for the aggregator too.
  Result<void> Forward(const std::string& leaf, v1::OtlpRequest&& request, uint64_t records);

  // Hands what is open to the sink.
  void Flush();
  // Asks for a flush if anything waits: for what came between ticks.
  void FlushSoon();
  // Forgets series and streams nobody needs; call every minute or so.
  void Tidy();
  std::string RenderMetrics() const { return table_.Render(); }

  uint64_t produced() const { return produced_; }
  uint64_t pending() const { return prompt_.records + backlog_.records; }
  const std::map<DropKey, uint64_t>& dropped() const { return dropped_; }
  size_t series() const { return table_.alive(); }
  uint64_t unattributed() const { return unattributed_; }

 private:
  class LeafEmitter;
  friend class LeafEmitter;

  void AddSample(LeafEmitter& leaf, const MetricFamily& family, LabelViews labels,
                 LabelViews attribution, double value);
  void AddSampleOf(LeafEmitter& leaf, const Origin& origin, const MetricFamily& family,
                   LabelViews labels, double value);
  void AddValue(int64_t unix_ms, uint32_t ref, double value);
  bool AddLogs(LeafEmitter& leaf, LogChunk&& chunk);
  // A batch that is being filled.
  struct Open {
    v1::Batch batch;
    size_t bytes = 0;
    uint64_t records = 0;
    std::map<std::string, uint32_t> streams;  // of the lane's session
  };
  uint32_t StreamRef(Open& open, const LogChunk& chunk);
  void Complete(v1::Subject* subject, const Origin& origin);
  void Count(Open& open, size_t bytes, uint64_t records);
  void Added(size_t bytes, uint64_t records, bool in_pass);
  Result<void> PutOpen(Lane lane, Open& open);
  void Drop(const std::string& leaf, std::string_view reason, uint64_t count);
  void KeepForRetry();
  void StartSession();

  const PipelineOptions options_;
  const Clock* const clock_;
  BatchSink* const sink_;
  ContainerIndex* const containers_;
  SeriesTable table_;
  std::vector<std::unique_ptr<LeafEmitter>> leaves_;
  v1::SeriesDefinition definition_;  // scratch
  Open prompt_;
  Open backlog_;
  v1::SampleFrame* frame_ = nullptr;  // the open frame of prompt_
  uint32_t frame_ref_ = 0;            // its last reference
  bool flush_wanted_ = false;
  bool put_failed_ = false;  // the sink did not take all of them: no more logs until it does
  uint64_t produced_ = 0;
  uint64_t unattributed_ = 0;
  std::map<DropKey, uint64_t> dropped_;
};

}  // namespace faultline
