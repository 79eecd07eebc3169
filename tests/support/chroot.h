// Whether we run in a chroot: then a mount namespace that is entered is seen from its own root, and
// what is mounted here has other names for the rest of the machine.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace faultline {

// A child enters the mount namespace that it is in, which takes it to that namespace's root.
inline bool InChroot() {
  const pid_t child = fork();
  if (child == 0) {
    struct stat here = {}, there = {};
    const int space = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    const bool entered =
        stat("/", &here) == 0 && setns(space, CLONE_NEWNS) == 0 && stat("/", &there) == 0;
    _exit(entered && (here.st_dev != there.st_dev || here.st_ino != there.st_ino) ? 1 : 0);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 1;
}

}  // namespace faultline
