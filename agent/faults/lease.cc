#include "agent/faults/lease.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace faultline {

static_assert(std::atomic<int64_t>::is_always_lock_free, "the number is shared between processes");

Result<Lease> Lease::Create() {
  const int fd = memfd_create("faultline-lease", MFD_CLOEXEC);
  if (fd < 0) return FailErrno(errno, "make the memory of the lease");
  if (ftruncate(fd, sizeof(int64_t)) != 0) {
    const int error_number = errno;
    close(fd);
    return FailErrno(error_number, "size the memory of the lease");
  }
  return Attach(fd);
}

Result<Lease> Lease::Attach(int fd) {
  void* memory = mmap(nullptr, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return FailErrno(errno, "map the memory of the lease");
  return Lease(fd, static_cast<std::atomic<int64_t>*>(memory));
}

Lease::Lease(Lease&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), expiry_(std::exchange(other.expiry_, nullptr)) {}

Lease::~Lease() {
  if (expiry_ != nullptr) munmap(expiry_, sizeof(int64_t));
  if (fd_ >= 0) close(fd_);
}

}  // namespace faultline
