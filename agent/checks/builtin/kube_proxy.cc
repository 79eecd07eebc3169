// kube-proxy answers /healthz.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/processes_seen.h"
#include "agent/checks/builtin/rows.h"
#include "agent/checks/builtin/socket_talk.h"

namespace faultline {
namespace {

class KubeProxy final : public Check {
 public:
  explicit KubeProxy(CheckParameters& parameters) : port_(parameters.Number("port", 10256)) {}
  Finding Evaluate(const HostView& host) override {
    bool runs = host.fs.Exists("/var/lib/kube-proxy/config.yaml") ||
                host.fs.Exists("/var/lib/kube-proxy/kubeconfig");
    for (const ProcessSight& process : ReadProcesses(host)) runs |= process.comm == "kube-proxy";
    if (!runs) return Finding::NotApplicable("no kube-proxy here");
    Judged judged;
    const auto answer = GetHttp("127.0.0.1", static_cast<uint16_t>(port_), "/healthz", 3000);
    if (!answer)
      judged.Problem("", fmt::format("kube-proxy does not answer: {}", answer.error().message));
    if (answer && answer->status != 200)
      judged.Problem("", fmt::format("kube-proxy answers {}: {}", answer->status, answer->body));
    return judged.Finish("kube-proxy is well", "200 ok");
  }

 private:
  const double port_;
};

}  // namespace

std::unique_ptr<Check> MakeKubeProxy(CheckParameters& parameters) {
  return std::make_unique<KubeProxy>(parameters);
}

}  // namespace faultline
