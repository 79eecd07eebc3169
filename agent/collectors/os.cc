// Which distribution this node runs: os-release(5), re-read when the file changes.
#include <sys/stat.h>

#include <map>

#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kRelease = {"node_os_info", v1::METRIC_TYPE_GAUGE,
                                   "Always 1; the labels say which operating system this is."};
constexpr MetricFamily kVersion = {"node_os_version", v1::METRIC_TYPE_GAUGE,
                                   "Major.minor version of the operating system."};
constexpr MetricFamily kSupportEnd = {"node_os_support_end_timestamp_seconds",
                                      v1::METRIC_TYPE_GAUGE,
                                      "Until when the operating system is supported, unix time."};
// Key in the file and label, sorted by label.
constexpr std::pair<std::string_view, std::string_view> kKeys[] = {
    {"BUILD_ID", "build_id"},
    {"ID", "id"},
    {"ID_LIKE", "id_like"},
    {"IMAGE_ID", "image_id"},
    {"IMAGE_VERSION", "image_version"},
    {"NAME", "name"},
    {"PRETTY_NAME", "pretty_name"},
    {"VARIANT", "variant"},
    {"VARIANT_ID", "variant_id"},
    {"VERSION", "version"},
    {"VERSION_CODENAME", "version_codename"},
    {"VERSION_ID", "version_id"}};

// A value of the file without its quotes; backslashes in double quotes escape the next character.
std::string Unquote(std::string_view text) {
  text = Trim(text);
  const bool quoted = text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
                      text.back() == text.front();
  if (!quoted) return std::string(text);
  const bool escapes = text.front() == '"';
  text = text.substr(1, text.size() - 2);
  std::string value;
  for (size_t i = 0; i < text.size(); ++i) {
    if (escapes && text[i] == '\\' && i + 1 < text.size()) ++i;
    value += text[i];
  }
  return value;
}

class OsCollector final : public Collector {
 public:
  explicit OsCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_TRY(Refresh());
    out.Sample(kRelease, labels_, 1);
    if (version_) {
      out.Sample(
          kVersion,
          {{"id", values_["ID"]}, {"id_like", values_["ID_LIKE"]}, {"name", values_["NAME"]}},
          *version_);
    }
    if (support_end_) out.Sample(kSupportEnd, {}, *support_end_);
    return {};
  }

 private:
  Result<void> Refresh() {
    std::string_view path = "/etc/os-release";
    struct stat status{};
    if (stat(fs_.Path(path).c_str(), &status) != 0) {
      path = "/usr/lib/os-release";
      if (stat(fs_.Path(path).c_str(), &status) != 0) {
        return Fail(ErrorCode::kNotFound, "no os-release in {}/etc or /usr/lib", fs_.root());
      }
    }
    const std::pair changed{status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
    if (path == path_ && changed == changed_) return {};
    FAULTLINE_ASSIGN(const std::string text, fs_.Read(path));
    path_ = path;
    changed_ = changed;
    Parse(text);
    return {};
  }

  void Parse(std::string_view text) {
    values_.clear();
    std::string_view line;
    while (NextLine(text, line)) {
      line = Trim(line);
      const size_t equals = line.find('=');
      if (line.starts_with('#') || equals == std::string_view::npos) continue;
      values_[std::string(line.substr(0, equals))] = Unquote(line.substr(equals + 1));
    }
    labels_.clear();
    for (const auto& [key, label] : kKeys) labels_.push_back({label, values_[std::string(key)]});
    // "12", "9.4", "22.04.1": only major and minor make a number.
    const std::string_view id = values_["VERSION_ID"];
    size_t end = id.find_first_not_of("0123456789");
    if (end != std::string_view::npos && id[end] == '.')
      end = id.find_first_not_of("0123456789", end + 1);
    version_ = ParseDouble(id.substr(0, end));
    support_end_.reset();
    const std::string& date = values_["SUPPORT_END"];
    if (const auto ns = ParseTime(date + "T00:00:00Z")) {
      support_end_ = static_cast<double>(*ns / kNsPerSecond);
    }
  }

  const FsRoot& fs_;
  std::string path_;
  std::pair<int64_t, int64_t> changed_;
  std::map<std::string, std::string> values_;
  std::vector<LabelView> labels_;  // views of values_
  std::optional<double> version_, support_end_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeOs(const LeafContext& context) {
  return std::make_unique<OsCollector>(context.host);
}

}  // namespace faultline
