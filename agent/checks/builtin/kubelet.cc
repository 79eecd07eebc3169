// The kubelet answers /healthz.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/processes_seen.h"
#include "agent/checks/builtin/rows.h"
#include "agent/checks/builtin/socket_talk.h"

namespace faultline {
namespace {

class Kubelet final : public Check {
 public:
  explicit Kubelet(CheckParameters& parameters) : port_(parameters.Number("port", 10248)) {}
  Finding Evaluate(const HostView& host) override {
    bool runs = host.fs.Exists("/var/lib/kubelet/config.yaml") ||
                host.fs.Exists("/var/lib/kubelet/kubeconfig");
    for (const ProcessSight& process : ReadProcesses(host)) runs |= process.comm == "kubelet";
    if (!runs) return Finding::NotApplicable("no kubelet here");
    Judged judged;
    const auto answer = GetHttp("127.0.0.1", static_cast<uint16_t>(port_), "/healthz", 3000);
    if (!answer)
      judged.Problem("", fmt::format("kubelet does not answer: {}", answer.error().message));
    if (answer && answer->status != 200)
      judged.Problem("", fmt::format("kubelet answers {}: {}", answer->status, answer->body));
    return judged.Finish("kubelet is well", "200 ok");
  }

 private:
  const double port_;
};

}  // namespace

std::unique_ptr<Check> MakeKubelet(CheckParameters& parameters) {
  return std::make_unique<Kubelet>(parameters);
}

}  // namespace faultline
