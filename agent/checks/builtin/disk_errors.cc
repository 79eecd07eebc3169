// Errors that SCSI disks and NVMe controllers counted since the last look.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class DiskErrors final : public Check {
 public:
  explicit DiskErrors(CheckParameters& parameters) { (void)parameters; }
  Finding Evaluate(const HostView& host) override {
    const auto disks = host.fs.List("/sys/block");
    Judged judged;
    for (size_t i = 0; disks && i < disks->size(); ++i) {
      const std::string& name = (*disks)[i];
      const auto text = host.fs.ReadTrimmed("/sys/block/" + name + "/device/ioerr_cnt");
      if (!text) continue;
      std::string_view digits = *text;
      if (digits.starts_with("0x")) digits.remove_prefix(2);
      judged.Saw();
      const double grown =
          growth_.Of(name, static_cast<double>(ParseUint(digits, 16).value_or(0))).value_or(0);
      if (grown > 0) judged.Problem(name, fmt::format("{} had {:.0f} errors", name, grown));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no disk counts its errors here");
    return judged.Finish(fmt::format("{} disks without new errors", judged.seen()), "none");
  }

 private:
  Growth growth_;
};

}  // namespace

std::unique_ptr<Check> MakeDiskErrors(CheckParameters& parameters) {
  return std::make_unique<DiskErrors>(parameters);
}

}  // namespace faultline
