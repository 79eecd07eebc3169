// What a file descriptor of the current task stands for: its names up to the root of its mount, or
// its socket.
#pragma once

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define FILE_NAMES 6
#define FILE_NAME_BYTES 32
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define MAX_FD (1 << 20)

// 0 if it is none.
static __always_inline struct file* file_of(__u64 fd) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  struct fdtable* table = BPF_CORE_READ(task, files, fdt);
  if (!table || fd >= MAX_FD || fd >= BPF_CORE_READ(table, max_fds)) return 0;
  struct file** files = BPF_CORE_READ(table, fd);
  struct file* file = 0;
  bpf_probe_read_kernel(&file, sizeof file, files + fd);
  return file;
}

static __always_inline struct sock* socket_of(struct file* file) {
  struct socket* socket = BPF_CORE_READ(file, private_data);
  return BPF_CORE_READ(socket, sk);
}

// The file's own name first. Stops at the root of the mount.
static __always_inline __u32 read_names(struct file* file,
                                        char names[FILE_NAMES][FILE_NAME_BYTES]) {
  struct dentry* entry = BPF_CORE_READ(file, f_path.dentry);
  __u32 depth = 0;
#pragma unroll
  for (__u32 i = 0; i < FILE_NAMES; ++i) {
    struct dentry* parent = BPF_CORE_READ(entry, d_parent);
    if (!parent || parent == entry) break;
    bpf_probe_read_kernel_str(names[i], FILE_NAME_BYTES, BPF_CORE_READ(entry, d_name.name));
    depth = i + 1;
    entry = parent;
  }
  return depth;
}
