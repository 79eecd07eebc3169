// How long tasks wait for a CPU and how long they sleep, by cgroup. A stamp in the task's storage
// says since when and in which state it is off the CPU; a wake-up moves it from asleep to waiting.
// Major faults are read off the task as it leaves the CPU, which every one of them makes it do.
#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "cgroup_key.h"
#include "counts.h"
#include "scheduler.h"

#define TASK_INTERRUPTIBLE 1
#define TASK_UNINTERRUPTIBLE 2

struct off_cpu {
  __u64 asleep_at_ns;  // 0: not asleep
  __u64 queued_at_ns;  // 0: not waiting
  __u32 state;
  __u32 unused;
  __u64 major_faults;  // seen so far
};

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct off_cpu);
} tasks SEC(".maps");

COUNTS_BY_CGROUP(struct scheduler_counts, 2048)

static __always_inline __u32 state_of(struct task_struct* task) {
  if (bpf_core_field_exists(task->__state)) return task->__state;
  struct task_struct___before_5_14* old = (void*)task;
  return BPF_CORE_READ(old, state);
}

static __always_inline void count_faults(struct task_struct* task, struct off_cpu* off) {
  __u64 faults = task->maj_flt;
  if (faults == off->major_faults) return;
  struct scheduler_counts* entry = counts_of(cgroup_key(task));
  if (entry) entry->major_faults += faults - off->major_faults;
  off->major_faults = faults;
}

static __always_inline int wake(struct task_struct* task) {
  struct off_cpu* off = bpf_task_storage_get(&tasks, task, 0, 0);
  if (off && !off->queued_at_ns) off->queued_at_ns = bpf_ktime_get_ns();
  return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(scheduler_wakeup, struct task_struct* task) { return wake(task); }

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(scheduler_wakeup_new, struct task_struct* task) {
  struct off_cpu* off = bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!off) return 0;
  off->queued_at_ns = bpf_ktime_get_ns();
  off->major_faults = task->maj_flt;
  return 0;
}

static __always_inline void leave_cpu(struct task_struct* task, bool preempted, __u64 now_ns) {
  struct off_cpu* off = bpf_task_storage_get(&tasks, task, 0, 0);
  if (!off) {
    // One that is older than the probe: its faults so far are not ours to count.
    off = bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (!off) return;
    off->major_faults = task->maj_flt;
  }
  __u32 state = state_of(task);
  off->state = state;
  if (preempted || state == 0) {
    off->asleep_at_ns = 0;
    off->queued_at_ns = now_ns;
  } else {
    off->asleep_at_ns = now_ns;
    off->queued_at_ns = 0;
  }
  count_faults(task, off);
}

static __always_inline void enter_cpu(struct task_struct* task, __u64 now_ns) {
  struct off_cpu* off = bpf_task_storage_get(&tasks, task, 0, 0);
  if (!off || !(off->queued_at_ns | off->asleep_at_ns)) return;
  struct scheduler_counts* entry = counts_of(cgroup_key(task));
  if (entry) {
    __u64 queued_at_ns = off->queued_at_ns;
    if (queued_at_ns) {
      add_time(&entry->run_queue, now_ns > queued_at_ns ? now_ns - queued_at_ns : 0);
    } else {
      queued_at_ns = now_ns;  // woken before we could see it
      add_time(&entry->run_queue, 0);
    }
    if (off->asleep_at_ns && queued_at_ns > off->asleep_at_ns) {
      __u32 kind = (off->state & TASK_UNINTERRUPTIBLE) != 0;
      entry->off_cpu_ns[kind & 1] += queued_at_ns - off->asleep_at_ns;
    } else if (!off->asleep_at_ns) {
      entry->preemptions++;
    }
  }
  off->asleep_at_ns = 0;
  off->queued_at_ns = 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(scheduler_switch, bool preempted, struct task_struct* prev, struct task_struct* next) {
  __u64 now_ns = bpf_ktime_get_ns();
  if (prev->pid) leave_cpu(prev, preempted, now_ns);
  if (next->pid) enter_cpu(next, now_ns);
  return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(scheduler_exit, struct task_struct* task) {
  struct off_cpu* off = bpf_task_storage_get(&tasks, task, 0, 0);
  if (off) count_faults(task, off);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
