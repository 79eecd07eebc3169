// Block I/O by device and container: latency of the device, bytes, errors (bpf/block_io.bpf.c). The
// histogram is the node's, by device and operation; containers have sums. What nobody knows the
// owner of is the node's.
#include <array>
#include <cstddef>
#include <cstring>
#include <map>

#include "agent/probes/bpf_program.h"
#include "agent/probes/counts_probe.h"
#include "agent/probes/owner_directory.h"
#include "block_io.skel.h"
#include "bpf/block_io.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kWords = sizeof(block_counts) / sizeof(uint64_t);
using Words = std::array<uint64_t, kWords>;

constexpr HistogramFamily kDuration = TimeHistogram(
    "node_block_io_duration_seconds_bucket", "node_block_io_duration_seconds_sum",
    "node_block_io_duration_seconds_count",
    "Time that a block device took for a request, from its driver's taking it to its end.");
constexpr std::array<std::string_view, BLOCK_OTHER + 1> kOperations = {"read", "write", "flush",
                                                                       "discard", "other"};

struct Column {
  size_t offset;
  MetricFamily family;
  double scale = 1;
};
constexpr Column kColumns[] = {
    {offsetof(block_counts, requests),
     {"container_block_requests_total", v1::METRIC_TYPE_COUNTER, "Block requests that ended."}},
    {offsetof(block_counts, bytes),
     {"container_block_bytes_total", v1::METRIC_TYPE_COUNTER, "Bytes of block requests."}},
    {offsetof(block_counts, errors),
     {"container_block_errors_total", v1::METRIC_TYPE_COUNTER,
      "Block requests that ended with an error."}},
    {offsetof(block_counts, device) + offsetof(time_sums, sum_ns),
     {"container_block_device_seconds_total", v1::METRIC_TYPE_COUNTER,
      "Time that block devices took for requests."},
     1e-9},
    {offsetof(block_counts, queued_ns),
     {"container_block_queued_seconds_total", v1::METRIC_TYPE_COUNTER,
      "Time that block requests waited before a driver took them."},
     1e-9},
};

class BlockIoProbe final : public Collector {
 public:
  BlockIoProbe(const LeafContext& context, SkeletonPtr<block_io_bpf> skeleton)
      : host_(context.host),
        index_(*context.containers),
        skeleton_(std::move(skeleton)),
        counts_(bpf_map__fd(skeleton_->maps.counts), sizeof(block_key), sizeof(block_counts)),
        owners_(index_),
        books_("block_io", skeleton_->obj, skeleton_->bss->accounts) {
    MakeSheddable(books_, *skeleton_);
  }

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_TRY(books_.InService());
    FAULTLINE_TRY(Read());
    std::map<Of, Words> node = gone_;
    for (const auto& [key, words] : totals_) {
      const Of of{"", key.device, key.operation};
      for (size_t i = 0; i < kWords; ++i) node[of][i] += words[i];
      const LabelView labels[] = {{"device", NameOf(key.device)},
                                  {"operation", kOperations[key.operation]}};
      for (const Column& column : kColumns) {
        SampleOfOwner(key.path, column.family, labels,
                      static_cast<double>(words[column.offset / 8]) * column.scale, out);
      }
    }
    for (const auto& [of, words] : node) {
      const LabelView labels[] = {{"device", NameOf(of.device)},
                                  {"operation", kOperations[of.operation]}};
      const size_t at = offsetof(block_counts, device) / 8;
      EmitTimes(kNoOwner, kDuration, labels, words[at],
                std::span<const uint64_t>(words).subspan(at + 1, TIME_BUCKETS), out);
    }
    books_.Emit(out);
    return {};
  }

 private:
  struct Of {
    std::string path;  // of the owner
    uint32_t device = 0;
    uint32_t operation = 0;
    auto operator<=>(const Of&) const = default;
  };
  struct KeyLess {
    bool operator()(const block_key& a, const block_key& b) const {
      return std::tie(a.cgroup, a.device, a.operation) < std::tie(b.cgroup, b.device, b.operation);
    }
  };

  Result<void> Read() {
    using Standing = OwnerDirectory::Standing;
    owners_.BeginPass();
    uint64_t pending = 0;
    std::vector<block_key> finished;
    FAULTLINE_TRY(counts_.ForEach([&](const void* raw_key, const std::byte* raw) {
      block_key key;
      std::memcpy(&key, raw_key, sizeof key);
      if (key.operation > BLOCK_OTHER) return;
      Words sum{};
      for (int cpu = 0; cpu < counts_.cpus(); ++cpu) {
        Words part;
        std::memcpy(part.data(), raw + static_cast<size_t>(cpu) * counts_.stride(), sizeof part);
        for (size_t i = 0; i < kWords; ++i) sum[i] += part[i];
      }
      const OwnerDirectory::Owner owner = owners_.Of(key.cgroup);
      if (owner.standing == Standing::kUnknown) {
        pending += sum[0];
        return;
      }
      // I/O of a cgroup that nobody ever knew is still I/O of the node's devices.
      const std::string path(owner.standing == Standing::kGivenUp ? "/" : owner.path);
      Words& last = last_[key];
      Words& total = totals_[{path, key.device, key.operation}];
      books_.Delivered(sum[0] - last[0]);
      for (size_t i = 0; i < kWords; ++i) total[i] += sum[i] - last[i];
      last = sum;
      if (owner.standing != Standing::kAlive) finished.push_back(key);
    }));
    for (const block_key& key : finished) {
      counts_.Delete(&key);
      last_.erase(key);
    }
    FoldTheDead();
    books_.Pending(pending);
    return {};
  }

  // The node's histogram goes on counting what containers did that are gone.
  void FoldTheDead() {
    for (auto total = totals_.begin(); total != totals_.end();) {
      const std::string& path = total->first.path;
      const bool is_alive = path == "/" || index_.Resolve(Origin{.cgroup_path = path}) != nullptr;
      if (is_alive) {
        ++total;
        continue;
      }
      const Words words = total->second;
      const Of gone{"", total->first.device, total->first.operation};
      total = totals_.erase(total);
      for (size_t i = 0; i < kWords; ++i) gone_[gone][i] += words[i];
    }
  }

  const std::string& NameOf(uint32_t device) {
    std::string& name = names_[device];
    if (!name.empty()) return name;
    const uint32_t major = device >> 20, minor = device & 0xFFFFF;
    const auto text =
        host_.fs.Read(fmt::format("/sys/dev/block/{}:{}/uevent", major, minor), size_t{64} << 10);
    std::string_view rest = text ? std::string_view(*text) : std::string_view(), line;
    constexpr std::string_view kKey = "DEVNAME=";
    while (NextLine(rest, line)) {
      if (line.starts_with(kKey)) name = line.substr(kKey.size());
    }
    if (name.empty()) name = fmt::format("{}:{}", major, minor);
    return name;
  }

  const HostView& host_;
  ContainerIndex& index_;
  SkeletonPtr<block_io_bpf> skeleton_;
  PercpuHash counts_;
  OwnerDirectory owners_;
  std::map<block_key, Words, KeyLess> last_;
  std::map<Of, Words> totals_;
  std::map<Of, Words> gone_;  // by device and operation, of containers that are no more
  std::map<uint32_t, std::string> names_;
  ProbeBooks books_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeBlockIoProbe(const LeafContext& context) {
  FAULTLINE_TRY(NeedContainers(context));
  const ProgramSet alternatives[] = {{}};
  FAULTLINE_ASSIGN(
      auto skeleton, LoadProbe<block_io_bpf>("block_io", alternatives, [](block_io_bpf& object) {
        bpf_map__set_max_entries(object.maps.counts,
                                 EntriesWithin(size_t{4} << 20, sizeof(block_counts), 2048));
      }));
  return std::make_unique<BlockIoProbe>(context, std::move(skeleton));
}

}  // namespace faultline
