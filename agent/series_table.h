// Every series this agent makes: its reference on the wire, its latest value, and which leaf made it in which pass.
// The hot path is one hash of the bytes that name the series (seeded, 128 bits, so that equal hash is taken as equal
// series) and one look-up. Label order is the leaf's habit: each habit becomes an alias of the sorted form.
// Series that their leaf stopped making are remembered for a while, so that a flapping one keeps its reference.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/emitter.h"

namespace faultline {

class SeriesTable {
 public:
  enum class Outcome { kKnown, kNew, kDuplicate, kFull, kInvalid };
  struct Seen {
    Outcome outcome;
    uint32_t ref = 0;  // of kKnown and kNew
    bool changed = true;  // false: alive before, with the very same value
  };

  // `seed` keeps anybody from crafting labels that collide.
  SeriesTable(uint32_t max_series, uint64_t seed) : max_series_(max_series), seed_(seed) {}

  // Leaves are numbered 0, 1, 2 …
  uint32_t AddLeaf();
  // Records the value of a series in a pass of its leaf. `attribution` are further labels. kNew fills `definition`.
  Seen Update(uint32_t leaf, uint64_t pass, const MetricFamily& family, LabelViews labels,
              LabelViews attribution, double value, v1::SeriesDefinition* definition);
  // The leaf finished `pass`: what it did not make in it ends. `now_ns` is steady.
  void EndPass(uint32_t leaf, uint64_t pass, int64_t now_ns, const std::function<void(uint32_t ref)>& ended);
  // Forgets what ended before `steady_ns`.
  void Forget(int64_t steady_ns);
  // Prometheus' text format of every series that is alive, families in order of name.
  std::string Render() const;
  // All definitions again, with references from 1: for a new session.
  void Renumber(const std::function<void(const v1::SeriesDefinition&)>& define);

  size_t alive() const { return alive_; }
  uint32_t last_ref() const { return next_ref_ - 1; }

 private:
  struct Key {
    uint64_t low;
    uint64_t high;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    using is_avalanching = void;
    size_t operator()(const Key& key) const { return key.low; }
  };
  struct Family {
    v1::MetricType type = v1::METRIC_TYPE_UNTYPED;
    std::string help;
    std::vector<uint32_t> slots;
    bool help_sent = false;
  };
  using Families = std::map<std::string, Family, std::less<>>;
  struct Series {
    uint32_t ref = 0;
    uint32_t leaf = 0;
    uint64_t pass = 0;
    double value = 0;
    int64_t ended_ns = 0;
    bool alive = false;
    Families::iterator family;
    std::string name;  // with the suffix of its family's type: x_bucket
    std::vector<std::pair<std::string, std::string>> labels;
    std::vector<Key> keys;
  };

  Key Hash(std::string_view name, LabelViews labels, LabelViews attribution);
  Seen Insert(Key raw, const MetricFamily& family, LabelViews labels, LabelViews attribution,
              uint32_t* slot, v1::SeriesDefinition* definition);
  void Define(Series& series, v1::SeriesDefinition* definition);
  bool MakeRoom();

  const uint32_t max_series_;
  const uint64_t seed_;
  uint32_t next_ref_ = 1;
  size_t alive_ = 0;
  boost::unordered_flat_map<Key, uint32_t, KeyHash> slots_;
  std::vector<Series> series_;
  std::vector<uint32_t> free_slots_;
  std::vector<std::vector<uint32_t>> leaves_;  // slots alive, per leaf
  Families families_;
  std::string scratch_;
};

// Whether a name follows Prometheus' rules for metrics.
bool IsMetricName(std::string_view name);
// The family's name: x for x_bucket, x_sum and x_count of a histogram or summary.
std::string_view FamilyName(std::string_view name, v1::MetricType type);

}  // namespace faultline
