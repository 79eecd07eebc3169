// A cgroup of the test's own under the real hierarchies, and children that live in it. Everything
// is removed again.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "agent/containers/container_index.h"

namespace faultline {

class OwnCgroup {
 public:
  // In the unified hierarchy (if `in_unified`) and in those of the named v1 controllers, where
  // mounted.
  OwnCgroup(const CgroupMounts& mounts, const std::string& name,
            const std::vector<std::string>& controllers, bool in_unified = true)
      : path_("/faultline-test-" + std::to_string(getpid()) + "-" + name) {
    std::set<std::string> folders;
    if (in_unified && !mounts.unified.empty()) folders.insert(mounts.unified + path_);
    for (const std::string& controller : controllers) {
      if (mounts.IsV1(controller)) folders.insert(mounts.Folder(controller, path_));
    }
    for (const std::string& folder : folders) {
      if (mkdir(folder.c_str(), 0755) == 0) folders_.push_back(folder);
    }
  }
  ~OwnCgroup() {
    for (const pid_t child : children_) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
    for (const std::string& folder : folders_) {
      // The last task may still be on its way out.
      for (int attempt = 0; attempt < 200 && rmdir(folder.c_str()) != 0 && errno == EBUSY;
           ++attempt)
        usleep(10'000);
    }
  }
  OwnCgroup(const OwnCgroup&) = delete;
  OwnCgroup& operator=(const OwnCgroup&) = delete;

  const std::string& path() const { return path_; }
  bool ok() const { return !folders_.empty(); }

  // A child that moves itself into the cgroup, runs `body` and exits with what that returns.
  pid_t Start(const std::function<int()>& body) {
    const pid_t child = fork();
    if (child == 0) {
      // Opened before the move, so that the cgroup sees nothing of this but a few writes.
      std::vector<int> files;
      for (const std::string& folder : folders_)
        files.push_back(open((folder + "/cgroup.procs").c_str(), O_WRONLY));
      for (const int file : files) {
        if (write(file, "0", 1) != 1) _exit(120);
      }
      _exit(body());
    }
    children_.insert(child);
    return child;
  }
  // The child's wait status.
  int Wait(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    children_.erase(child);
    return status;
  }
  int Run(const std::function<int()>& body) { return Wait(Start(body)); }

 private:
  const std::string path_;
  std::vector<std::string> folders_;
  std::set<pid_t> children_;
};

}  // namespace faultline
