// How the tasks of one cgroup got to the CPU.
#pragma once

#include "bpf/include/times.h"

struct scheduler_counts {
  __u64 records;               // times that a task got the CPU after it had waited or slept
  struct time_sums run_queue;  // from runnable to running
  __u64 off_cpu_ns[2];         // asleep: interruptible; uninterruptible (disk, locks)
  __u64 preemptions;           // times that a task lost the CPU though it wanted to go on
  __u64 major_faults;          // pages that had to come from a disk
};
