// ZFS: caches and queues of the module, I/O and state of pools, I/O of datasets
// (/proc/spl/kstat/zfs).
#include "agent/collectors/collector.h"
#include "common/family_cache.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr std::string_view kFolder = "/proc/spl/kstat/zfs/";
// File and part of the name.
constexpr std::pair<std::string_view, std::string_view> kFiles[] = {
    {"abdstats", "abd"},
    {"arcstats", "arc"},
    {"dbufstats", "dbuf"},
    {"dmu_tx", "dmu_tx"},
    {"dnodestats", "dnode"},
    {"fm", "fm"},
    {"vdev_cache_stats", "vdev_cache"},
    {"vdev_mirror_stats", "vdev_mirror"},
    {"xuio_stats", "xuio"},
    {"zfetchstats", "zfetch"},
    {"zil", "zil"}};
constexpr std::string_view kStates[] = {"online",  "degraded", "faulted",  "offline",
                                        "removed", "unavail",  "suspended"};
constexpr MetricFamily kState = {"node_zfs_zpool_state", v1::METRIC_TYPE_GAUGE,
                                 "1 for the state the pool is in."};

class ZfsCollector final : public Collector {
 public:
  explicit ZfsCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(const std::vector<std::string> names, fs_.List(kFolder));
    families_.Begin();
    for (const auto& [file, part] : kFiles) {
      const auto text = fs_.Read(std::string(kFolder) + std::string(file));
      if (text) Table(out, *text, part, {});
    }
    for (const std::string& name : names) {
      const auto files = fs_.List(std::string(kFolder) + name);
      if (!files) continue;  // not a pool
      Pool(out, name, *files);
    }
    return {};
  }

 private:
  void Pool(Emitter& out, const std::string& pool, const std::vector<std::string>& files) {
    const std::string folder = std::string(kFolder) + pool + "/";
    for (const std::string& file : files) {
      const auto text = fs_.Read(folder + file);
      if (!text) continue;
      if (file == "io") Io(out, *text, pool);
      if (file == "state") State(out, *text, pool);
      if (file.starts_with("objset-")) {
        const LabelView labels[] = {{"zpool", pool}, {"dataset", Dataset(*text)}};
        Table(out, *text, "zpool_dataset", labels);
      }
    }
  }

  // Rows "name type data" behind a line that says so; types 3 and 4 are 64-bit numbers.
  void Table(Emitter& out, std::string_view text, std::string_view part, LabelViews labels) {
    std::string_view line;
    bool begun = false;
    while (NextLine(text, line)) {
      const std::string_view name = NextWord(line), type = NextWord(line), number = NextWord(line);
      if (name == "name" && type == "type") {
        begun = true;
        continue;
      }
      const auto value = begun && (type == "4" || (type == "3" && labels.empty()))
                             ? ParseUint(number)
                             : std::nullopt;
      if (value) Emit(out, part, name, labels, static_cast<double>(*value));
    }
  }

  // A line of names that begins with nread, then one of numbers.
  void Io(Emitter& out, std::string_view text, std::string_view pool) {
    std::string_view names, numbers;
    while (NextLine(text, names) && !names.starts_with("nread")) {
    }
    NextLine(text, numbers);
    const LabelView labels[] = {{"zpool", pool}};
    for (std::string_view name = NextWord(names); !name.empty(); name = NextWord(names)) {
      const auto value = ParseUint(NextWord(numbers));
      if (value) Emit(out, "zpool", name, labels, static_cast<double>(*value));
    }
  }

  static void State(Emitter& out, std::string_view text, std::string_view pool) {
    std::string state(Trim(text));
    for (char& c : state) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    for (const std::string_view known : kStates) {
      out.Sample(kState, {{"zpool", pool}, {"state", known}}, known == state ? 1 : 0);
    }
  }

  static std::string_view Dataset(std::string_view text) {
    std::string_view line;
    while (NextLine(text, line)) {
      if (NextWord(line) != "dataset_name") continue;
      NextWord(line);
      return NextWord(line);
    }
    return {};
  }

  void Emit(Emitter& out, std::string_view part, std::string_view name, LabelViews labels,
            double value) {
    key_.assign(part).append("_").append(name);
    const MetricFamily* family = families_.Get(key_, [&](std::string_view key) {
      return std::optional(OwnedFamily{"node_zfs_" + MetricName(key), v1::METRIC_TYPE_UNTYPED,
                                       fmt::format("{} of ZFS {}.", name, part)});
    });
    if (family != nullptr) out.Sample(*family, labels, value);
  }

  const FsRoot& fs_;
  FamilyCache families_;
  std::string key_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeZfs(const LeafContext& context) {
  return std::make_unique<ZfsCollector>(context.host);
}

}  // namespace faultline
