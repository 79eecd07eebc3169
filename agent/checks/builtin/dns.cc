// Whether names resolve, and how long that takes.
#include <netdb.h>
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class Dns final : public Check {
 public:
  explicit Dns(CheckParameters& parameters)
      : name_(parameters.Text("name", "")), warn_(parameters.Number("warn", 1000)) {}
  Finding Evaluate(const HostView& host) override {
    if (!host.fs.Exists("/etc/resolv.conf"))
      return Finding::NotApplicable("no resolver is configured");
    const bool cluster =
        host.fs.Read("/etc/resolv.conf").value_or("").find("cluster.local") != std::string::npos;
    const std::string name = !name_.empty() ? name_
                             : cluster      ? "kubernetes.default.svc.cluster.local"
                                            : "";
    if (name.empty()) return Finding::NotApplicable("no `name` is set");
    const int64_t begin_ns = host.clock->SteadyNs();
    addrinfo* found = nullptr;
    const int wrong = getaddrinfo(name.c_str(), nullptr, nullptr, &found);
    if (found != nullptr) freeaddrinfo(found);
    const double ms = static_cast<double>(host.clock->SteadyNs() - begin_ns) / 1e6;
    Judged judged;
    if (wrong != 0)
      judged.Problem("", fmt::format("{} does not resolve: {}", name, gai_strerror(wrong)));
    if (wrong == 0 && ms >= warn_) judged.Degraded("", fmt::format("{} took {:.0f} ms", name, ms));
    judged.finding().Add("resolve", ms, "ms");
    return judged.Finish(fmt::format("{} resolves", name), fmt::format("below {} ms", warn_));
  }

 private:
  const std::string name_;
  const double warn_;
};

}  // namespace

std::unique_ptr<Check> MakeDns(CheckParameters& parameters) {
  return std::make_unique<Dns>(parameters);
}

}  // namespace faultline
