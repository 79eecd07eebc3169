// Watermarks and dictionaries of the agents' sessions: which batches are durable, and what their
// references mean. Stage, Publish and Discard belong to the commit thread; Read looks at what is
// durable and may be called by any.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "aggregator/store/engine.h"
#include "aggregator/store/store.h"

namespace faultline::store {

class SessionTable {
 public:
  explicit SessionTable(Engine& engine) : engine_(engine) {}
  Result<void> Load();

  enum class Verdict { kTake, kDuplicate, kGap };
  // kTake: watermark and references of the batch are in `write`.
  Verdict Stage(const AppendBatch& batch, int64_t now_unix_ns, rocksdb::WriteBatch& write);
  void Publish();
  void Discard() { staged_.clear(); }
  uint64_t WatermarkOf(const std::string& node, uint64_t session) const;
  // Forgets sessions whose last batch is older than that.
  Result<void> Retain(int64_t oldest_unix_ns);

  Result<SessionDictionary> Read(std::string_view node, uint64_t session) const;

 private:
  using Name = std::pair<std::string, uint64_t>;
  struct Watermark {
    uint64_t sequence = 0;
    int64_t time_unix_ns = 0;
  };
  Engine& engine_;
  std::map<Name, Watermark> durable_;
  std::map<Name, Watermark> staged_;
};

}  // namespace faultline::store
