// Software RAID: disks and blocks of each array, and what it does now (/proc/mdstat).
#include <algorithm>

#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily Gauge(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_GAUGE, help};
}
constexpr MetricFamily kDisks = Gauge("node_md_disks", "Disks of the array by state.");
constexpr MetricFamily kRequired = Gauge("node_md_disks_required", "Disks the array needs.");
constexpr MetricFamily kState = Gauge("node_md_state", "1 for what the array does now.");
constexpr MetricFamily kBlocks = Gauge("node_md_blocks", "Blocks of the array.");
constexpr MetricFamily kSynced =
    Gauge("node_md_blocks_synced", "Blocks of the array that are in sync.");
constexpr std::string_view kStates[] = {"active", "inactive", "recovering", "resync", "check"};

struct Array {
  std::string_view name;
  std::string_view state = "inactive";
  double active = 0, failed = 0, spare = 0, required = 0, blocks = 0, synced = 0;
};

// "md0 : active raid1 sdb1[2](F) sdc[1](S) sda1[0]"
Array ParseHead(std::string_view line) {
  Array array;
  array.name = NextWord(line);
  NextWord(line);  // the colon
  array.state = NextWord(line) == "active" ? "active" : "inactive";
  for (std::string_view word = NextWord(line); !word.empty(); word = NextWord(line)) {
    if (word.find('[') == std::string_view::npos) continue;  // the level, (auto-read-only)
    if (word.ends_with("(F)")) {
      ++array.failed;
    } else if (word.ends_with("(S)")) {
      ++array.spare;
    } else {
      ++array.active;
    }
  }
  if (array.state != "active") array.active = 0;
  array.required = array.active;
  return array;
}

// "248896 blocks [2/1] [U_]", "4186624 blocks super 1.2 256k chunks"
void ParseBlocks(std::string_view line, Array& array) {
  array.blocks = array.synced = ParseDouble(NextWord(line)).value_or(0);
  for (std::string_view word = NextWord(line); !word.empty(); word = NextWord(line)) {
    const size_t slash = word.find('/');
    if (array.state == "inactive" || !word.starts_with('[') || !word.ends_with(']') ||
        slash == std::string_view::npos) {
      continue;
    }
    const auto required = ParseUint(word.substr(1, slash - 1));
    const auto active = ParseUint(word.substr(slash + 1, word.size() - slash - 2));
    if (!required || !active) continue;
    array.required = static_cast<double>(*required);
    array.active = static_cast<double>(*active);
  }
}

// "[=>...]  recovery =  8.5% (16775552/195310144) finish=17.0min …", "resync=DELAYED"
void ParseProgress(std::string_view line, Array& array) {
  const bool recovers = line.find("recovery") != std::string_view::npos;
  const bool checks = line.find("check") != std::string_view::npos;
  const bool resyncs = line.find("resync") != std::string_view::npos;
  if (!recovers && !checks && !resyncs) return;
  array.state = recovers ? "recovering" : checks ? "check" : "resync";
  if (line.find("DELAYED") != std::string_view::npos ||
      line.find("PENDING") != std::string_view::npos) {
    array.synced = 0;
    return;
  }
  const size_t open = line.find('('), slash = line.find('/', open);
  if (open == std::string_view::npos || slash == std::string_view::npos) return;
  const auto done = ParseUint(line.substr(open + 1, slash - open - 1));
  if (done) array.synced = static_cast<double>(*done);
}

void Emit(Emitter& out, const Array& array) {
  out.Sample(kDisks, {{"device", array.name}, {"state", "active"}}, array.active);
  out.Sample(kDisks, {{"device", array.name}, {"state", "failed"}}, array.failed);
  out.Sample(kDisks, {{"device", array.name}, {"state", "spare"}}, array.spare);
  out.Sample(kRequired, {{"device", array.name}}, array.required);
  for (const std::string_view state : kStates) {
    out.Sample(kState, {{"device", array.name}, {"state", state}}, array.state == state ? 1 : 0);
  }
  out.Sample(kBlocks, {{"device", array.name}}, array.blocks);
  out.Sample(kSynced, {{"device", array.name}}, array.synced);
}

class MdadmCollector final : public Collector {
 public:
  explicit MdadmCollector(const HostView& host) : file_(host.fs.Path("/proc/mdstat")) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(std::string_view text, file_.Read());
    std::string_view line;
    Array array;
    size_t line_of_array = 0;
    while (NextLine(text, line)) {
      const bool is_head = line.starts_with("md") && line.find(" : ") != std::string_view::npos;
      if (is_head) {
        if (!array.name.empty()) Emit(out, array);
        array = ParseHead(line);
        line_of_array = 0;
      } else if (!array.name.empty() && line_of_array == 1) {
        ParseBlocks(line, array);
      } else if (!array.name.empty()) {
        ParseProgress(line, array);
      }
      ++line_of_array;
    }
    if (!array.name.empty()) Emit(out, array);
    return {};
  }

 private:
  PolledFile file_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeMdadm(const LeafContext& context) {
  return std::make_unique<MdadmCollector>(context.host);
}

}  // namespace faultline
