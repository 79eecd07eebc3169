// What the syscalls probe keeps per (cgroup, syscall) and per (cgroup, syscall, errno).
#pragma once

// Bucket b holds durations below 2^(12 + 2 b) ns: 4.1 us, 16 us … 1.07 s; the last holds all longer
// ones.
#define SYSCALL_BUCKETS 11
#define SYSCALL_FIRST_BUCKET_LOG2 12

struct syscall_key {
  __u64 cgroup;  // see include/cgroup_key.h
  __u32 number;
  __u32 error;  // errno, or 0 where it is no part of the key
};

struct syscall_times {
  __u64 sum_ns;
  __u64 buckets[SYSCALL_BUCKETS];
};
