// Who was on a CPU when it was sampled, where, and how often.
#pragma once

#ifndef __bpf__
#include <linux/types.h>
#endif

#define CPU_PROFILE_DEPTH 127  // frames of a stack; what is further out is cut
#define CPU_PROFILE_NO_STACK 0
#define CPU_PROFILE_STACK_LOST 1  // there was no room for it

struct cpu_profile_stack {
  __u64 frames[CPU_PROFILE_DEPTH];  // the innermost first; 0 ends it
};

struct cpu_profile_key {
  __u64 cgroup;
  __u64 in_user;    // hashes of stacks, by which they are kept
  __u64 in_kernel;
  __u32 pid;        // of the process
  __u32 unused;
  char thread[16];  // its name
};
