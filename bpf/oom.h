// One process that the kernel chose to kill for want of memory.
#pragma once

struct oom_record {
  __u64 at_ns;   // CLOCK_MONOTONIC
  __u64 cgroup;  // whom its memory is charged to; 0: not known here, ask by pid
  __u32 pid;
  __u32 killer_pid;  // who asked for the memory
  char comm[16];
};
