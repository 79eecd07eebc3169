// Days until certificates of the node end.
#include <glob.h>

#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"
#include "common/certificate.h"

namespace faultline {
namespace {

class Certificates final : public Check {
 public:
  explicit Certificates(CheckParameters& parameters)
      : files_(parameters.Text(
            "files",
            "/etc/kubernetes/pki/*.crt,/etc/kubernetes/pki/etcd/*.crt,/var/lib/kubelet/pki/*.pem")),
        warn_(parameters.Number("warn", 30)),
        crit_(parameters.Number("crit", 7)) {}
  Finding Evaluate(const HostView& host) override {
    Judged judged;
    for (const std::string_view pattern : Split(files_, ',')) {
      if (Trim(pattern).empty()) continue;
      glob_t found{};
      if (glob(host.fs.Path(Trim(pattern)).c_str(), 0, nullptr, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc && judged.seen() < 200; ++i)
          Judge(found.gl_pathv[i], host, judged);
      }
      globfree(&found);
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no certificates");
    return judged.Finish(fmt::format("{} certificates are valid", judged.seen()),
                         fmt::format("more than {} days", warn_));
  }

 private:
  void Judge(const std::string& path, const HostView& host, Judged& judged) const {
    const auto text = FsRoot().Read(path);
    if (!text) return;
    const auto ends = CertificateEnd(*text);
    if (!ends) return;
    judged.Saw();
    const double days = static_cast<double>(*ends - host.clock->UnixNs()) / 1e9 / 86400;
    judged.finding().Add(path, days, "d");
    judged.Low(days, warn_, crit_, path,
               days < 0 ? fmt::format("{} ended {:.0f} days ago", path, -days)
                        : fmt::format("{} ends in {:.0f} days", path, days));
  }

  const std::string files_;
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeCertificates(CheckParameters& parameters) {
  return std::make_unique<Certificates>(parameters);
}

}  // namespace faultline
