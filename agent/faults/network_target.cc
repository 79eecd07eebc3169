#include "agent/faults/network_target.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netpacket/packet.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "agent/faults/network_namespace.h"
#include "agent/faults/process_identity.h"
#include "agent/faults/target_cgroups.h"
#include "common/text.h"

namespace faultline {
namespace {

uint64_t InodeOf(const HostView& host, uint32_t pid) {
  return NetworkNamespaceId(host.fs.Path(fmt::format("/proc/{}/ns/net", pid)));
}

}  // namespace

Result<std::vector<uint32_t>> TargetPids(const v1::Subject& target, const FaultHost& host) {
  if (target.cgroup().empty() && target.container_id().empty() && target.pid() != 0) {
    FAULTLINE_TRY(ReadLiveProcess(*host.host, target.pid()));
    return std::vector<uint32_t>{target.pid()};
  }
  std::vector<uint32_t> pids;
  if (target.cgroup().empty() && target.container_id().empty() && !target.comm().empty()) {
    for (const uint32_t pid : ListProcesses(*host.host)) {
      const auto stat = ReadLiveProcess(*host.host, pid);
      if (stat && stat->comm == std::string_view(target.comm()).substr(0, 15)) pids.push_back(pid);
    }
    if (pids.empty()) return Fail(ErrorCode::kNotFound, "no process is called {}", target.comm());
    return pids;
  }
  FAULTLINE_ASSIGN(const std::string cgroup, TargetCgroup(target, host));
  if (cgroup == "/") return pids;
  for (const CgroupFolder& folder : TargetFolders(cgroup, 0, host)) {
    const auto here = ProcessesBelow(*host.host, folder.path);
    if (here) pids.insert(pids.end(), here->begin(), here->end());
  }
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  if (pids.empty()) return Fail(ErrorCode::kNotFound, "cgroup {} has no processes", cgroup);
  return pids;
}

Result<NetNamespace> TargetNamespace(const v1::Subject& target, const FaultHost& host) {
  NetNamespace found;
  FAULTLINE_ASSIGN(found.pids, TargetPids(target, host));
  const uint64_t node = InodeOf(*host.host, 1);
  found.pid = found.pids.empty() ? 1 : 0;
  found.inode = found.pids.empty() ? node : 0;
  for (const uint32_t pid : found.pids) {
    const uint64_t inode = InodeOf(*host.host, pid);
    if (inode == 0) continue;
    if (found.inode != 0 && inode != found.inode) {
      return Fail(ErrorCode::kInvalidArgument,
                  "target: its processes {} and {} live in different network namespaces", found.pid,
                  pid);
    }
    found.inode = inode;
    if (found.pid == 0) found.pid = pid;
  }
  if (found.inode == 0) return Fail(ErrorCode::kNotFound, "target: its processes have ended");
  found.file = NetworkNamespaceOf(*host.host, found.pid);
  found.is_node = found.inode == node;
  if (found.is_node && !found.pids.empty()) {
    for (const CgroupFolder& folder : TargetFolders("", found.pid, host)) {
      if (folder.controller.empty() && folder.path != host.mounts.unified)
        found.cgroup = folder.path;
    }
  }
  return found;
}

Result<void> InNamespace(uint64_t inode, const FaultHost& host,
                         const std::function<Result<void>()>& work) {
  for (const std::string& file : NetworkNamespaces(*host.host)) {
    if (NetworkNamespaceId(file) == inode) return InNetworkNamespace(file, work);
  }
  return Fail(ErrorCode::kNotFound, "network namespace {} is gone", inode);
}

std::vector<NetDevice> ListDevices() {
  std::vector<NetDevice> devices;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return devices;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_PACKET) continue;
    const auto* link = reinterpret_cast<const sockaddr_ll*>(one->ifa_addr);
    NetDevice device;
    device.name = one->ifa_name;
    device.index = static_cast<unsigned>(link->sll_ifindex);
    device.is_up = (one->ifa_flags & IFF_UP) != 0;
    device.is_loopback = (one->ifa_flags & IFF_LOOPBACK) != 0;
    device.has_ethernet_header =
        link->sll_hatype == ARPHRD_ETHER || link->sll_hatype == ARPHRD_LOOPBACK;
    std::copy_n(link->sll_addr, 6, device.mac.begin());
    devices.push_back(std::move(device));
  }
  freeifaddrs(all);
  return devices;
}

std::string DefaultRouteDevice() {
  // /proc/self/net is the process'; /proc/thread-self is ours.
  const FsRoot proc("/");
  const std::string v4 = proc.Read("/proc/thread-self/net/route").value_or("");
  std::string_view rest = v4;
  std::string_view line;
  while (NextLine(rest, line)) {
    const std::string_view device = NextWord(line);
    if (NextWord(line) == "00000000") return std::string(device);
  }
  const std::string v6 = proc.Read("/proc/thread-self/net/ipv6_route").value_or("");
  rest = v6;
  while (NextLine(rest, line)) {
    const auto words = Split(line, ' ');
    const std::string_view device = words.back();
    if (line.starts_with("00000000000000000000000000000000 00 ") && device != "lo")
      return std::string(device);
  }
  return "";
}

Result<void> SetDeviceUp(const std::string& name, bool up) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return FailErrno(errno, "socket for device {}", name);
  ifreq request{};
  name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  Result<void> done;
  if (ioctl(fd, SIOCGIFFLAGS, &request) != 0) {
    done = FailErrno(errno, "device {}", name);
  } else {
    const int flags = up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP;
    request.ifr_flags = static_cast<short>(flags);
    if (ioctl(fd, SIOCSIFFLAGS, &request) != 0)
      done = FailErrno(errno, "bring device {} {}", name, up ? "up" : "down");
  }
  close(fd);
  return done;
}

}  // namespace faultline
