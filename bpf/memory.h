// What the tasks of one cgroup paid for memory that was not there.
#pragma once

#include "bpf/include/times.h"

struct memory_counts {
  __u64 records;
  struct time_sums direct;  // a task freed pages itself because the node had none
  struct time_sums limit;   // … because its cgroup was at its limit
  __u64 direct_pages;       // freed by it
  __u64 limit_pages;
};
