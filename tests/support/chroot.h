// Whether we run in a chroot: then a mount namespace that is entered is seen from its own root, and
// what is mounted here has other names for the rest of the machine.
#pragma once

#include <sys/stat.h>

namespace faultline {

inline bool InChroot() {
  struct stat ours{}, first{};
  return stat("/", &ours) == 0 && stat("/proc/1/root/", &first) == 0 &&
         (ours.st_dev != first.st_dev || ours.st_ino != first.st_ino);
}

}  // namespace faultline
