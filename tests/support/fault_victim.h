// A target of our own for tests of faults: a cgroup in every hierarchy of this machine with one
// small process inside.
#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "agent/containers/cgroup_mounts.h"
#include "agent/faults/target_cgroups.h"

namespace faultline {

// Polls until `ready`; false after `timeout_ms`.
inline bool Eventually(int64_t timeout_ms, const std::function<bool()>& ready) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!ready()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

class FaultVictim {
 public:
  // `busy_percent` of one CPU is what the process uses.
  // `own_network`: it lives in a new network namespace.
  // `path`: the cgroup of one that is gone; empty: a new one.
  explicit FaultVictim(const HostView& host, int busy_percent = 10, bool own_network = false,
                       const std::string& path = "")
      : host_(host) {
    mounts_ = ReadCgroupMounts(host.fs).value_or(CgroupMounts{});
    static int count = 0;
    path_ = path.empty() ? fmt::format("/faultline-test-{}-{}", getpid(), ++count) : path;
    for (const auto& [controller, mount] : mounts_.v1) {
      if (controller != "cpuset" && !controller.starts_with("name="))
        folders_.push_back(mount + path_);
    }
    if (!mounts_.unified.empty()) folders_.push_back(mounts_.unified + path_);
    for (const std::string& folder : folders_) made_ = mkdir(folder.c_str(), 0755) == 0 && made_;
    // Its share is large, so that a busy machine does not change what the tests measure.
    for (const std::string& folder : folders_) {
      if (access((folder + "/cpu.shares").c_str(), W_OK) == 0)
        (void)WriteControl(host, folder + "/cpu.shares", "262144");
      if (access((folder + "/cpu.weight").c_str(), W_OK) == 0)
        (void)WriteControl(host, folder + "/cpu.weight", "10000");
    }
    pid_ = fork();
    if (pid_ == 0) {
      if (own_network && unshare(CLONE_NEWNET) != 0) _exit(1);
      Live(busy_percent);
    }
    // Connected by whoever looks at /proc/PID/ns/net: it must be the new one.
    if (own_network) {
      const auto network = [](const std::string& who) {
        char name[64] = {};
        return readlink(("/proc/" + who + "/ns/net").c_str(), name, sizeof name - 1) > 0
                   ? std::string(name)
                   : std::string();
      };
      made_ = Eventually(5000, [&] { return network(std::to_string(pid_)) != network("self"); }) &&
              made_;
    }
    for (const std::string& folder : folders_) {
      made_ =
          WriteControl(host, folder + "/cgroup.procs", std::to_string(pid_)).has_value() && made_;
    }
  }
  ~FaultVictim() {
    for (const std::string& folder : folders_) {
      if (access((folder + "/cgroup.freeze").c_str(), W_OK) == 0)
        (void)WriteControl(host_, folder + "/cgroup.freeze", "0");
      if (access((folder + "/freezer.state").c_str(), W_OK) == 0) {
        (void)WriteControl(host_, folder + "/freezer.state", "THAWED");
      }
    }
    End();
    for (const std::string& folder : folders_)
      Eventually(2000, [&] { return rmdir(folder.c_str()) == 0; });
  }
  FaultVictim(const FaultVictim&) = delete;
  FaultVictim& operator=(const FaultVictim&) = delete;

  void End() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  bool made() const { return made_ && pid_ > 0; }
  pid_t pid() const { return pid_; }
  const std::string& path() const { return path_; }
  const CgroupMounts& mounts() const { return mounts_; }
  std::vector<CgroupFolder> folders() const {
    FaultHost host;
    host.host = &host_;
    host.mounts = mounts_;
    return TargetFolders(path_, 0, host);
  }
  // By the kernel's count of the cgroup, over the window: independent of the fault's own
  // measurements.
  double CpuCores(int64_t window_ms) const {
    const auto all = folders();
    const CgroupFolder* folder = FolderOf(all, "cpuacct");
    const auto begin = std::chrono::steady_clock::now();
    const int64_t before = CgroupCpuNs(host_, *folder).value_or(0);
    std::this_thread::sleep_for(std::chrono::milliseconds(window_ms));
    const int64_t after = CgroupCpuNs(host_, *folder).value_or(0);
    const auto elapsed = std::chrono::steady_clock::now() - begin;
    return static_cast<double>(after - before) /
           static_cast<double>(
               std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count());
  }

 private:
  [[noreturn]] static void Live(int busy_percent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    volatile uint64_t sink = 1;
    while (true) {
      const auto end =
          std::chrono::steady_clock::now() + std::chrono::microseconds(busy_percent * 100);
      while (std::chrono::steady_clock::now() < end) sink = sink * 3 + 1;
      usleep(static_cast<useconds_t>(10'000 - busy_percent * 100));
    }
  }

  const HostView& host_;
  CgroupMounts mounts_;
  std::string path_;
  std::vector<std::string> folders_;
  bool made_ = true;
  pid_t pid_ = -1;
};

}  // namespace faultline
