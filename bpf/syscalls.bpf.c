// Duration and errors of every system call, summed up in the kernel by cgroup and syscall: nothing
// per call leaves it. The stamp of the beginning lives in the task's own storage. Enter decides
// (cgroup allow-list), exit counts only what enter stamped. Cost: ~160 ns a call, measured by
// tests/bench/syscalls_probe_bench.
#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "account.h"
#include "cgroup_key.h"
#include "log2.h"
#include "syscalls.h"

#define MAX_ERRNO 4095

struct started {
  __u64 at_ns;  // 0: none
  __u64 cgroup;
  __u64 number;
};

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct started);
} begun SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(max_entries, 8192);  // user space lowers it on machines of many CPUs
  __type(key, struct syscall_key);
  __type(value, struct syscall_times);
} times SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(max_entries, 4096);
  __type(key, struct syscall_key);
  __type(value, __u64);
} errors SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u64);
  __type(value, __u8);
} selected SEC(".maps");

const volatile bool only_selected = false;

static const struct syscall_times no_times;
static const __u64 no_errors;

static __always_inline int enter(long number) {
  struct task_struct* task = bpf_get_current_task_btf();
  __u64 cgroup = cgroup_key(task);
  if (only_selected && !bpf_map_lookup_elem(&selected, &cgroup)) return 0;
  struct started* started = bpf_task_storage_get(&begun, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!started) {
    struct account* account = my_account();
    account->produced++;
    account->dropped_no_storage++;
    return 0;
  }
  started->cgroup = cgroup;
  started->number = number;
  started->at_ns = bpf_ktime_get_ns();
  return 0;
}

static __always_inline void count_error(struct syscall_key* key, long result) {
  key->error = -result;
  __u64* count = bpf_map_lookup_elem(&errors, key);
  if (!count) {
    bpf_map_update_elem(&errors, key, &no_errors, BPF_NOEXIST);
    count = bpf_map_lookup_elem(&errors, key);
    if (!count) {
      // The call itself is in `times`; what is lost is only which errno it was.
      my_account()->counts_lost++;
      return;
    }
  }
  (*count)++;
}

static __always_inline int leave(long result) {
  struct started* started = bpf_task_storage_get(&begun, bpf_get_current_task_btf(), 0, 0);
  if (!started || !started->at_ns) return 0;
  __u64 took_ns = bpf_ktime_get_ns() - started->at_ns;
  started->at_ns = 0;
  my_account()->produced++;
  struct syscall_key key = {.cgroup = started->cgroup, .number = started->number};
  struct syscall_times* entry = bpf_map_lookup_elem(&times, &key);
  if (!entry) {
    bpf_map_update_elem(&times, &key, &no_times, BPF_NOEXIST);
    entry = bpf_map_lookup_elem(&times, &key);
    if (!entry) {
      my_account()->dropped_map_full++;
      return 0;
    }
  }
  entry->sum_ns += took_ns;
  __u32 bucket = 0;
  if (took_ns >> SYSCALL_FIRST_BUCKET_LOG2) {
    bucket = (log2_u64(took_ns) - SYSCALL_FIRST_BUCKET_LOG2) / 2 + 1;
    if (bucket >= SYSCALL_BUCKETS) bucket = SYSCALL_BUCKETS - 1;
  }
  entry->buckets[bucket]++;
  if (result < 0 && result >= -MAX_ERRNO) count_error(&key, result);
  return 0;
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(syscall_enter, struct pt_regs* regs, long number) { return enter(number); }

SEC("?tp_btf/sys_exit")
int BPF_PROG(syscall_exit, struct pt_regs* regs, long result) { return leave(result); }

// For kernels whose BTF does not describe these tracepoints; some 30 ns more per call.
SEC("?tracepoint/raw_syscalls/sys_enter")
int syscall_enter_tp(struct trace_event_raw_sys_enter* context) { return enter(context->id); }

SEC("?tracepoint/raw_syscalls/sys_exit")
int syscall_exit_tp(struct trace_event_raw_sys_exit* context) { return leave(context->ret); }

char LICENSE[] SEC("license") = "GPL";
