// The beginning (exec) or the end of a process.
#pragma once

enum process_step { PROCESS_EXEC = 0, PROCESS_EXIT = 1 };

struct process_record {
  __u64 at_ns;  // CLOCK_MONOTONIC
  __u64 cgroup;
  __u32 pid;
  __u32 parent_pid;
  __u32 step;
  __u32 exit_code;  // as wait() tells it: signal in the low 7 bits, code above 8
  char comm[16];
  char file[96];  // what was executed, cut
};

struct process_counts {
  __u64 execs;
  __u64 exits;
  __u64 killed;  // exits by a signal
};
