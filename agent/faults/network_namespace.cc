#include "agent/faults/network_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <thread>

#include "agent/faults/process_identity.h"

namespace faultline {
namespace {

constexpr const char* kOwn = "/proc/self/ns/net";
constexpr size_t kMaxNamespaces = 1024;

}  // namespace

Result<void> InNetworkNamespace(const std::string& file,
                                const std::function<Result<void>()>& work) {
  if (file.empty()) return work();
  const int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FailErrno(errno, "network namespace {}", file);
  Result<void> done;
  std::thread worker([&] {
    if (setns(fd, CLONE_NEWNET) != 0) {
      done = FailErrno(errno, "enter network namespace {}", file);
      return;
    }
    done = work();
  });
  worker.join();
  close(fd);
  return done;
}

uint64_t NetworkNamespaceId(const std::string& file) {
  struct stat status{};
  return stat(file.empty() ? kOwn : file.c_str(), &status) == 0 ? status.st_ino : 0;
}

std::string NetworkNamespaceOf(const HostView& host, uint32_t pid) {
  if (pid == 0) return "";
  std::string file = host.fs.Path(fmt::format("/proc/{}/ns/net", pid));
  return NetworkNamespaceId(file) == NetworkNamespaceId("") ? "" : file;
}

std::vector<std::string> NetworkNamespaces(const HostView& host) {
  std::vector<std::string> files = {""};
  std::set<uint64_t> seen = {NetworkNamespaceId("")};
  const auto add = [&](std::string file) {
    const uint64_t id = NetworkNamespaceId(file);
    if (id != 0 && files.size() < kMaxNamespaces && seen.insert(id).second)
      files.push_back(std::move(file));
  };
  for (const uint32_t pid : ListProcesses(host))
    add(host.fs.Path(fmt::format("/proc/{}/ns/net", pid)));
  if (const auto names = host.fs.List("/run/netns")) {
    for (const std::string& name : *names) add(host.fs.Path("/run/netns/" + name));
  }
  return files;
}

}  // namespace faultline
