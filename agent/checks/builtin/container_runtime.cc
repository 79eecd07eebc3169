// Sockets of containerd, CRI-O and docker take connections.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"
#include "agent/checks/builtin/socket_talk.h"

namespace faultline {
namespace {

class ContainerRuntime final : public Check {
 public:
  explicit ContainerRuntime(CheckParameters& parameters)
      : sockets_(parameters.Text("sockets",
                                 "/run/containerd/containerd.sock,/run/crio/crio.sock,/run/"
                                 "docker.sock,/run/k3s/containerd/containerd.sock")) {}
  Finding Evaluate(const HostView& host) override {
    Judged judged;
    for (const std::string_view path : Split(sockets_, ',')) {
      const std::string name(Trim(path));
      if (name.empty() || !host.fs.Exists(name)) continue;
      judged.Saw();
      const auto connected = ConnectUnix(host.fs.Path(name), 3000);
      if (!connected)
        judged.Problem(name,
                       fmt::format("{} takes no connection: {}", name, connected.error().message));
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no container runtime");
    return judged.Finish(fmt::format("{} runtimes answer", judged.seen()));
  }

 private:
  const std::string sockets_;
};

}  // namespace

std::unique_ptr<Check> MakeContainerRuntime(CheckParameters& parameters) {
  return std::make_unique<ContainerRuntime>(parameters);
}

}  // namespace faultline
