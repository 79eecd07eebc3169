// The beginning (exec) or the end of a process, or its hanging in the kernel.
#pragma once

#define PROCESS_ARGUMENTS_BYTES 192

enum process_step { PROCESS_EXEC = 0, PROCESS_EXIT = 1, PROCESS_HANGS = 2 };

struct process_record {
  __u64 at_ns;  // CLOCK_MONOTONIC
  __u64 cgroup;
  __u32 pid;
  __u32 parent_pid;
  __u32 step;
  __u32 exit_code;  // as wait() tells it: signal in the low 7 bits, code above 8
  char comm[16];
  char file[96];     // what was executed, cut
  __u32 sender_pid;  // of the signal that ended it; 0: the kernel, or nobody
  __u32 arguments_bytes;
  char sender_comm[16];
  char arguments[PROCESS_ARGUMENTS_BYTES];  // of an exec, each ended by a zero, cut
};

struct process_counts {
  __u64 execs;
  __u64 exits;
  __u64 killed;  // exits by a signal
  __u64 forks;   // of processes, not of threads
  __u64 hangs;
};
