// Block I/O by cgroup, device and operation.
#pragma once

#include "bpf/include/times.h"

enum block_operation { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_OTHER };

struct block_key {
  __u64 cgroup;
  __u32 device;  // major << 20 | minor
  __u32 operation;
};

struct block_counts {
  __u64 requests;  // ended
  __u64 bytes;
  __u64 errors;
  struct time_sums device;  // from the driver's taking it to its end
  __u64 queued_ns;          // from its making to the driver's taking it
};
