// Size and use of each mounted filesystem: /proc/1/mounts and statfs. A mount that does not answer
// is reported with node_filesystem_device_error 1 and is not asked again until it does; the others
// are not held up (StatfsPool).
#include <set>

#include "agent/collectors/collector.h"
#include "common/name_filter.h"
#include "common/statfs_pool.h"
#include "common/text.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

constexpr MetricFamily Gauge(std::string_view name, std::string_view help) {
  return {name, v1::METRIC_TYPE_GAUGE, help};
}
constexpr MetricFamily kSize = Gauge("node_filesystem_size_bytes", "Size of the filesystem.");
constexpr MetricFamily kFree = Gauge("node_filesystem_free_bytes", "Free space of the filesystem.");
constexpr MetricFamily kAvailable =
    Gauge("node_filesystem_avail_bytes", "Free space that is open to everybody, not only to root.");
constexpr MetricFamily kFiles = Gauge("node_filesystem_files", "Files (inodes) it can hold.");
constexpr MetricFamily kFilesFree =
    Gauge("node_filesystem_files_free", "Files (inodes) still free.");
constexpr MetricFamily kReadOnly = Gauge("node_filesystem_readonly", "1 if mounted read-only.");
constexpr MetricFamily kDeviceError = Gauge(
    "node_filesystem_device_error", "1 if the filesystem cannot be asked, or does not answer.");

constexpr std::string_view kDefaultExclude =
    "^/(dev|proc|run|sys|mnt|media|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
constexpr std::string_view kDefaultExcludeTypes =
    "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|"
    "mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs)"
    "$";

struct Mount {
  std::string device, point, type;
  bool read_only = false;
};

// Blanks in the mount table are written as octal escapes.
std::string Unescape(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto code = text[i] == '\\' ? ParseUint(text.substr(i + 1, 3), 8) : std::nullopt;
    if (code && i + 3 < text.size() && *code < 256) {
      result += static_cast<char>(*code);
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

bool HasOption(std::string_view options, std::string_view wanted) {
  while (!options.empty()) {
    const size_t comma = options.find(',');
    if (options.substr(0, comma) == wanted) return true;
    options.remove_prefix(comma == std::string_view::npos ? options.size() : comma + 1);
  }
  return false;
}

class FilesystemCollector final : public Collector {
 public:
  FilesystemCollector(const HostView& host, NameFilter exclude, NameFilter exclude_types)
      : fs_(host.fs),
        of_init_(host.fs.Path("/proc/1/mounts")),
        of_self_(host.fs.Path("/proc/self/mounts")),
        exclude_(std::move(exclude)),
        exclude_types_(std::move(exclude_types)) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_TRY(ReadMounts());
    std::vector<std::string> paths;
    for (const Mount& mount : mounts_) paths.push_back(fs_.Path(mount.point));
    const std::vector<StatfsPool::Answer> answers = pool_.Ask(paths);
    for (size_t i = 0; i < mounts_.size(); ++i) Emit(out, mounts_[i], answers[i]);
    return {};
  }

 private:
  Result<void> ReadMounts() {
    // The mounts of init are the host's, also when we live in a container.
    auto read = of_init_.Read();
    if (!read) read = of_self_.Read();
    FAULTLINE_ASSIGN(const std::string_view text, std::move(read));
    if (text == table_) return {};
    table_ = text;
    mounts_.clear();
    std::set<std::string> seen;
    std::string_view rest = table_, line;
    while (NextLine(rest, line)) {
      const std::string_view device = NextWord(line), point = NextWord(line), type = NextWord(line);
      const std::string_view options = NextWord(line);
      if (type.empty()) continue;
      Mount mount{Unescape(device), Unescape(point), std::string(type), HasOption(options, "ro")};
      const std::string& root = fs_.root();
      if (!root.empty() && mount.point.starts_with(root)) mount.point.erase(0, root.size());
      if (mount.point.empty()) mount.point = "/";
      if (exclude_.Matches(mount.point) || exclude_types_.Matches(mount.type)) continue;
      if (seen.insert(mount.device + '\n' + mount.point + '\n' + mount.type).second) {
        mounts_.push_back(std::move(mount));
      }
    }
    return {};
  }

  static void Emit(Emitter& out, const Mount& mount, const StatfsPool::Answer& answer) {
    const LabelView labels[] = {
        {"device", mount.device}, {"fstype", mount.type}, {"mountpoint", mount.point}};
    const bool good = answer.state == StatfsPool::Answer::State::kGood;
    out.Sample(kDeviceError, labels, good ? 0 : 1);
    if (!good) return;
    const auto& usage = answer.usage;
    const auto block = static_cast<double>(usage.f_bsize);
    out.Sample(kSize, labels, static_cast<double>(usage.f_blocks) * block);
    out.Sample(kFree, labels, static_cast<double>(usage.f_bfree) * block);
    out.Sample(kAvailable, labels, static_cast<double>(usage.f_bavail) * block);
    out.Sample(kFiles, labels, static_cast<double>(usage.f_files));
    out.Sample(kFilesFree, labels, static_cast<double>(usage.f_ffree));
    out.Sample(kReadOnly, labels, mount.read_only ? 1 : 0);
  }

  const FsRoot& fs_;
  PolledFile of_init_, of_self_;
  NameFilter exclude_, exclude_types_;
  std::string table_;  // the text that mounts_ was made from
  std::vector<Mount> mounts_;
  StatfsPool pool_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeFilesystem(const LeafContext& context) {
  v1::LeafConfig leaf;
  const auto given = context.config.collectors().find("filesystem");
  if (given != context.config.collectors().end()) leaf = given->second;
  FAULTLINE_ASSIGN(NameFilter exclude,
                   NameFilter::Create(leaf.has_exclude() ? leaf.exclude() : kDefaultExclude));
  FAULTLINE_ASSIGN(
      NameFilter exclude_types,
      NameFilter::Create(leaf.has_exclude_types() ? leaf.exclude_types() : kDefaultExcludeTypes));
  return std::make_unique<FilesystemCollector>(context.host, std::move(exclude),
                                               std::move(exclude_types));
}

}  // namespace faultline
