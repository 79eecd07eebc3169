// What the syscalls probe keeps per (cgroup, syscall) and per (cgroup, syscall, errno), and the
// record of a slow call.
#pragma once

#include "bpf/include/times.h"

#define SYSCALL_NUMBERS 512  // numbers of system calls are below that

struct syscall_key {
  __u64 cgroup;  // see include/cgroup_key.h
  __u32 number;
  __u32 error;  // errno, or 0 where it is no part of the key
};

struct syscall_times {
  __u64 calls;             // all
  struct time_sums timed;  // all of them, or one in N
};

// How a call is treated, by its number.
#define SYSCALL_CHOSEN 1    // wanted
#define SYSCALL_WAITS 2     // waiting is what it is for: never slow
#define SYSCALL_TAKES_FD 4  // its first argument is a file descriptor

#define SLOW_NAMES 6
#define SLOW_NAME_BYTES 32

struct slow_record {
  __u64 at_ns;  // CLOCK_MONOTONIC, of its beginning
  __u64 took_ns;
  __u64 cgroup;
  __s64 result;
  __u64 inode;
  __u32 number;
  __u32 pid;
  __u32 tid;
  __s32 fd;      // -1: none
  __u32 mode;    // of the file, as in st_mode; 0: not known
  __u32 depth;   // names that follow: the file's own first, then its folder's …
  __u16 family;  // of the socket
  __u16 port;    // of its peer
  __u32 address4;
  __u8 address6[16];
  char comm[16];
  char names[SLOW_NAMES][SLOW_NAME_BYTES];
};
