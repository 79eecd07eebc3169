#include "agent/faults/protected_processes.h"

#include <algorithm>

namespace faultline {
namespace {

// By name (comm, 15 characters at most): node agents and runtimes, the ways in, and ourselves.
constexpr std::string_view kNames[] = {
    "kubelet",
    "kube-proxy",
    "k3s",
    "containerd",
    "dockerd",
    "docker-proxy",
    "crio",
    "conmon",
    "podman",
    "sshd",
    "systemd",
    "systemd-journal",
    "systemd-udevd",
    "systemd-logind",
    "systemd-network",
    "systemd-resolve",
    "dbus-daemon",
    "init",
    "faultline-agent",
    "faultline-guard",
    "faultline-aggre",
};
constexpr std::string_view kPrefixes[] = {"containerd-shim", "runc", "crun", "etcd",
                                          "kube-apiserver"};

}  // namespace

std::string WhyProtected(const LiveProcess& stat, const FaultHost& host) {
  const std::string who = fmt::format("pid {} ({})", stat.pid, stat.comm);
  if (stat.pid == 1) return who + " is the first process of the node";
  if (stat.kernel_thread) return who + " is a kernel thread";
  if (std::find(host.protected_pids.begin(), host.protected_pids.end(), stat.pid) !=
      host.protected_pids.end()) {
    return who + " belongs to the agent";
  }
  const bool named =
      std::find(std::begin(kNames), std::end(kNames), stat.comm) != std::end(kNames) ||
      std::any_of(std::begin(kPrefixes), std::end(kPrefixes),
                  [&](std::string_view prefix) { return stat.comm.starts_with(prefix); });
  return named ? who + " is protected by name" : "";
}

}  // namespace faultline
