// What other programs leave as *.prom files in a folder, in Prometheus' text format. A file is parsed when it changed, and
// taken as a whole or not at all. inotify says when one has come or was written: its values leave at once, not with the next
// pass; where it cannot, the pass finds them.
#include <sys/stat.h>

#include <functional>
#include <map>
#include <optional>
#include <set>

#include "agent/collectors/collector.h"
#include "common/exposition.h"
#include "common/folder_watch.h"
#include "common/log.h"
#include "common/text.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

constexpr MetricFamily kScrapeError = {"node_textfile_scrape_error", v1::METRIC_TYPE_GAUGE,
                                       "1 if a folder or a file could not be read, or is wrong."};
constexpr MetricFamily kMtime = {"node_textfile_mtime_seconds", v1::METRIC_TYPE_GAUGE,
                                 "When a file that was read changed last, unix time."};
constexpr std::string_view kDefaultFolder = "/var/lib/prometheus/node-exporter";
constexpr size_t kMaxFiles = 256;
constexpr int64_t kRestNs = 100'000'000;  // between two wakes: a file that is rewritten all the time costs ten parses a second
constexpr size_t kMaxFileBytes = size_t{4} << 20;

struct TextFile {
  std::pair<int64_t, int64_t> changed{-1, 0};
  int64_t size = -1;
  ino_t inode = 0;
  bool good = false;
  Exposition parsed;
  uint64_t pass = 0;
};

class TextfileCollector final : public Collector {
 public:
  TextfileCollector(const HostView& host, std::vector<std::string> folders)
      : fs_(host.fs), folders_(std::move(folders)) {}

  Result<void> Collect(Emitter& out) override {
    ++pass_;
    bool failed = false;
    for (const std::string& folder : folders_) {
      watch_.Add(folder, fs_.Path(folder));
      const auto names = fs_.List(folder);
      failed = failed || !names;
      for (const std::string& name : names.value_or(std::vector<std::string>())) {
        if (!name.ends_with(".prom")) continue;
        const std::string path = folder + "/" + name;
        if (files_.size() >= kMaxFiles && !files_.contains(path)) {
          out.Dropped("too_many_files", 1);
          failed = true;
          continue;
        }
        failed = !Refresh(path, files_[path]) || failed;
      }
    }
    std::erase_if(files_, [&](const auto& entry) { return entry.second.pass != pass_; });
    EmitGood(out, [](const std::string&) { return true; });
    out.Sample(kScrapeError, {}, failed ? 1 : 0);
    return {};
  }

  // What came or was written since the last look. What went away is left to the pass, which ends its series.
  Result<void> Wake(Emitter& out) override {
    std::vector<FolderWatch::Change> changes;
    const bool complete = watch_.Take(changes);
    if (!changes.empty()) watch_.Rest(kRestNs);
    if (!complete) return Collect(out);
    std::set<std::string> changed;
    for (const FolderWatch::Change& change : changes) {
      if (change.name.ends_with(".prom")) changed.insert(change.path + "/" + change.name);
    }
    for (const std::string& path : changed) {
      if (files_.contains(path) || files_.size() < kMaxFiles) Refresh(path, files_[path]);
    }
    EmitGood(out, [&](const std::string& path) { return changed.contains(path); });
    return {};
  }

  std::optional<int> wake_fd() const override {
    return watch_.works() ? std::optional(watch_.fd()) : std::nullopt;
  }

 private:
  bool Refresh(const std::string& path, TextFile& file) {
    file.pass = pass_;
    struct stat status{};
    if (stat(fs_.Path(path).c_str(), &status) != 0) {
      file.good = false;
      return false;
    }
    const std::pair<int64_t, int64_t> changed{status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
    if (changed == file.changed && status.st_size == file.size && status.st_ino == file.inode) {
      return file.good;
    }
    file.changed = changed;
    file.size = status.st_size;
    file.inode = status.st_ino;
    const auto parsed = Parse(path, file);
    file.good = parsed.has_value();
    if (!file.good && LogAllowed("textfile " + path)) {
      spdlog::warn("textfile {}: {}", path, parsed.error().message);
    }
    return file.good;
  }

  Result<void> Parse(const std::string& path, TextFile& file) {
    file.parsed = Exposition();
    FAULTLINE_ASSIGN(const std::string text, fs_.Read(path, kMaxFileBytes));
    FAULTLINE_ASSIGN(Exposition parsed, ParseExposition(text));
    for (const ExpositionSample& sample : parsed.samples) {
      // The time of a sample is the time of the pass; a file that says otherwise would be silently
      // wrong.
      if (sample.has_time) return Fail(ErrorCode::kUnsupported, "{} has a time stamp", sample.name);
    }
    for (Exposition::Family& family : parsed.families) {
      if (family.help.empty()) family.help = "Metric read from " + path;
    }
    file.parsed = std::move(parsed);
    return {};
  }

  // Of a series that stands in two files the first file's value counts, also when only the second one changed.
  void EmitGood(Emitter& out, const std::function<bool(const std::string& path)>& wanted) {
    seen_.clear();
    for (const auto& [path, file] : files_) {
      if (file.good) Emit(out, path, file, wanted(path));
    }
  }

  void Emit(Emitter& out, const std::string& path, const TextFile& file, bool wanted) {
    uint64_t twice = 0;
    for (const ExpositionSample& sample : file.parsed.samples) {
      labels_.clear();
      key_ = sample.name;
      for (const auto& [name, value] : sample.labels) {
        labels_.push_back({name, value});
        key_.append(1, '\0').append(name).append(1, '\0').append(value);
      }
      if (!seen_.insert(key_).second) {
        ++twice;
        continue;
      }
      if (!wanted) continue;
      const Exposition::Family& family = file.parsed.families[sample.family];
      out.Sample({sample.name, family.type, family.help}, LabelViews(labels_), sample.value);
    }
    if (!wanted) return;
    if (twice > 0) out.Dropped("series_twice", twice);
    out.Sample(
        kMtime, {{"file", path}},
        static_cast<double>(file.changed.first) + static_cast<double>(file.changed.second) / 1e9);
  }

  const FsRoot& fs_;
  std::vector<std::string> folders_;
  FolderWatch watch_{FolderWatch::Contents::kClosed};  // what is half written is nobody's news
  std::map<std::string, TextFile> files_;
  std::set<std::string> seen_;
  std::vector<LabelView> labels_;
  std::string key_;
  uint64_t pass_ = 0;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeTextfile(const LeafContext& context) {
  std::vector<std::string> folders;
  const auto leaf = context.config.collectors().find("textfile");
  if (leaf != context.config.collectors().end()) {
    folders.assign(leaf->second.directory().begin(), leaf->second.directory().end());
  }
  if (folders.empty()) folders.emplace_back(kDefaultFolder);
  return std::make_unique<TextfileCollector>(context.host, std::move(folders));
}

}  // namespace faultline
