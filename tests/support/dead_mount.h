// A mount that hangs whoever asks it.
#pragma once

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "common/result.h"

namespace faultline {

// A filesystem whose server takes every question and answers none but the first: who asks hangs
// uninterruptibly, even when killed, until the connection is aborted.
class DeadMount {
 public:
  explicit DeadMount(const std::string& point) : point_(point) {
    mkdir(point.c_str(), 0755);
    fd_ = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd_ < 0) return;
    const std::string options = fmt::format("fd={},rootmode=40000,user_id=0,group_id=0", fd_);
    if (mount("faultline-dead", point.c_str(), "fuse.faultline", 0, options.c_str()) != 0) return;
    mounted_ = true;
    server_ = std::thread([this] { Serve(); });
  }
  ~DeadMount() {
    Abort();
    if (mounted_) umount2(point_.c_str(), MNT_DETACH);
    if (fd_ >= 0) close(fd_);
  }
  bool mounted() const { return mounted_; }
  void Abort() {
    stopping_ = true;
    if (server_.joinable()) server_.join();
    if (!mounted_ || fd_ < 0) return;
    umount2(point_.c_str(), MNT_FORCE);  // aborts the connection, whoever still has its descriptor
    close(fd_);
    fd_ = -1;
  }

 private:
  void Serve() {
    std::vector<char> buffer(1 << 18);
    while (!stopping_) {
      pollfd one{fd_, POLLIN, 0};
      if (poll(&one, 1, 50) <= 0) continue;
      const ssize_t got = read(fd_, buffer.data(), buffer.size());
      if (got < static_cast<ssize_t>(sizeof(fuse_in_header))) continue;
      const auto* in = reinterpret_cast<const fuse_in_header*>(buffer.data());
      if (in->opcode != FUSE_INIT) continue;  // taken, never answered
      struct {
        fuse_out_header head;
        fuse_init_out init;
      } out{};
      out.head = {static_cast<uint32_t>(sizeof(out)), 0, in->unique};
      out.init.major = FUSE_KERNEL_VERSION;
      out.init.minor = FUSE_KERNEL_MINOR_VERSION;
      out.init.max_write = 4096;
      if (write(fd_, &out, sizeof(out)) < 0) return;
    }
  }

  const std::string point_;
  int fd_ = -1;
  bool mounted_ = false;
  std::atomic<bool> stopping_ = false;
  std::thread server_;
};

}  // namespace faultline
