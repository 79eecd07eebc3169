// Open files of the whole node against the kernel's limit: /proc/sys/fs/file-nr.
#include "agent/collectors/collector.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr MetricFamily kAllocated = {"node_filefd_allocated", v1::METRIC_TYPE_GAUGE,
                                     "File handles in use on the node."};
constexpr MetricFamily kMaximum = {"node_filefd_maximum", v1::METRIC_TYPE_GAUGE,
                                   "File handles that the node may use at most."};

class FilefdCollector final : public Collector {
 public:
  explicit FilefdCollector(const HostView& host) : file_(host.fs.Path("/proc/sys/fs/file-nr")) {}

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_ASSIGN(std::string_view text, file_.Read());
    const auto allocated = ParseUint(NextWord(text));
    NextWord(text);  // free handles: always 0 since Linux 2.6
    const auto maximum = ParseUint(NextWord(text));
    if (!allocated || !maximum) return Fail(ErrorCode::kCorruption, "{}: no numbers", file_.path());
    out.Sample(kAllocated, {}, static_cast<double>(*allocated));
    out.Sample(kMaximum, {}, static_cast<double>(*maximum));
    return {};
  }

 private:
  PolledFile file_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeFilefd(const LeafContext& context) {
  return std::make_unique<FilefdCollector>(context.host);
}

}  // namespace faultline
