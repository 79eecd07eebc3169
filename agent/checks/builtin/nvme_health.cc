// NVMe health log, asked of the controller itself: spare, life used, media errors, critical
// warnings.
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class NvmeHealth final : public Check {
 public:
  explicit NvmeHealth(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 80)), crit_(parameters.Number("crit", 100)) {}
  Finding Evaluate(const HostView& host) override {
    const auto controllers = host.fs.List("/sys/class/nvme");
    Judged judged;
    for (size_t i = 0; controllers && i < controllers->size(); ++i) {
      const std::string& name = (*controllers)[i];
      const std::string state =
          host.fs.ReadTrimmed("/sys/class/nvme/" + name + "/state").value_or("live");
      judged.Saw();
      if (state != "live") judged.Problem(name, fmt::format("{} is {}", name, state));
      unsigned char log[512] = {};
      if (!ReadHealth(host.fs.Path("/dev/" + name), log)) continue;
      const double used = log[5];
      judged.finding().Add(name, used, "%");
      if (log[0] != 0)
        judged.Problem(name, fmt::format("{} gives critical warning {:#x}", name, log[0]));
      if (log[3] < log[4])
        judged.Problem(name, fmt::format("{} has {} % spare blocks left", name, log[3]));
      judged.High(used, warn_, crit_, name,
                  fmt::format("{} has {:.0f} % of its life used", name, used));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no NVMe disks");
    return judged.Finish(fmt::format("{} NVMe disks are well", judged.seen()),
                         fmt::format("below {} % of life used", warn_));
  }

 private:
  // Log page 2, the health of all namespaces.
  static bool ReadHealth(const std::string& device, unsigned char (&log)[512]) {
    const int fd = open(device.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    nvme_admin_cmd command{};
    command.opcode = 0x02;
    command.nsid = 0xffffffff;
    command.addr = reinterpret_cast<uint64_t>(&log[0]);
    command.data_len = sizeof(log);
    command.cdw10 = 0x02 | (sizeof(log) / 4 - 1) << 16;
    command.timeout_ms = 2000;
    const bool good = ioctl(fd, NVME_IOCTL_ADMIN_CMD, &command) == 0;
    close(fd);
    return good;
  }

  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeNvmeHealth(CheckParameters& parameters) {
  return std::make_unique<NvmeHealth>(parameters);
}

}  // namespace faultline
