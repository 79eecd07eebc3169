// Duration and errors of system calls, summed up in the kernel by cgroup and syscall: nothing per
// call leaves it, except the few that took longer than a threshold. The stamp of the beginning
// lives in the task's own storage. Enter decides (allow-list of cgroups, list of syscalls, one in N
// timed), exit counts. Who is not selected pays for one look at a bitmap each way. Cost: see
// tests/bench/syscalls_probe_bench.
#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "account.h"
#include "cgroup_key.h"
#include "file_name.h"
#include "selection.h"
#include "syscalls.h"

#define MAX_ERRNO 4095

struct started {
  __u64 at_ns;  // 0: none
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
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 256 * 1024);
} ring SEC(".maps");

const volatile bool only_selected = false;
const volatile bool only_chosen = false;
const volatile __u32 timed_one_in = 1;
const volatile __u64 slow_ns = 0;  // 0: none is
const volatile __u8 treatment[SYSCALL_NUMBERS] = {};

static const struct syscall_times no_times;
static const __u64 no_errors;

static __always_inline bool is_chosen(__u64 number) {
  return !only_chosen ||
         (number < SYSCALL_NUMBERS && treatment[number & (SYSCALL_NUMBERS - 1)] & SYSCALL_CHOSEN);
}

static __always_inline int enter(long number) {
  if (!is_chosen(number)) return 0;
  struct task_struct* task = bpf_get_current_task_btf();
  if (only_selected && !is_selected(cgroup_key(task))) return 0;
  if (timed_one_in > 1) {
    struct account* account = my_account();
    if (++account->turns % timed_one_in != 0) return 0;
  }
  struct started* started = bpf_task_storage_get(&begun, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!started) {
    if (timed_one_in > 1) return 0;  // exit counts it all the same
    struct account* account = my_account();
    account->produced++;
    account->dropped_no_storage++;
    return 0;
  }
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

// In a program of its own weight: it runs for calls that took long anyway.
static __noinline int tell_slow(struct syscall_key* key, __u64 took_ns, long result, long fd) {
  if (!key) return 0;
  struct account* account = my_account();
  account->produced++;
  struct slow_record* record = bpf_ringbuf_reserve(&ring, sizeof *record, 0);
  if (!record) {
    account->dropped_ring_full++;
    return 0;
  }
  __u64 ids = bpf_get_current_pid_tgid();
  record->at_ns = bpf_ktime_get_ns() - took_ns;
  record->took_ns = took_ns;
  record->cgroup = key->cgroup;
  record->result = result;
  record->number = key->number;
  record->pid = ids >> 32;
  record->tid = ids;
  record->fd = -1;
  record->mode = 0;
  record->depth = 0;
  record->family = 0;
  record->inode = 0;
  bpf_get_current_comm(record->comm, sizeof record->comm);
  if (fd >= 0 && treatment[key->number & (SYSCALL_NUMBERS - 1)] & SYSCALL_TAKES_FD) {
    record->fd = fd;
    struct file* file = file_of(fd);
    struct inode* inode = file ? BPF_CORE_READ(file, f_inode) : 0;
    if (inode) {
      record->mode = BPF_CORE_READ(inode, i_mode);
      record->inode = BPF_CORE_READ(inode, i_ino);
      if ((record->mode & S_IFMT) == S_IFSOCK) {
        struct sock* sk = socket_of(file);
        record->family = BPF_CORE_READ(sk, __sk_common.skc_family);
        record->port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
        record->address4 = BPF_CORE_READ(sk, __sk_common.skc_daddr);
        BPF_CORE_READ_INTO(&record->address6, sk, __sk_common.skc_v6_daddr);
      } else {
        record->depth = read_names(file, record->names);
      }
    }
  }
  bpf_ringbuf_submit(record, 0);
  return 0;
}

static __always_inline int leave(long number, long result, long first) {
  struct task_struct* task = bpf_get_current_task_btf();
  __u64 cgroup = cgroup_key(task);
  if (only_selected && !is_selected(cgroup)) return 0;
  if (timed_one_in > 1 && !is_chosen(number)) return 0;
  struct started* started = bpf_task_storage_get(&begun, task, 0, 0);
  __u64 took_ns = 0;
  bool is_timed = started && started->at_ns;
  if (is_timed) {
    took_ns = bpf_ktime_get_ns() - started->at_ns;
    started->at_ns = 0;
    number = started->number;
  } else if (timed_one_in == 1 || number < 0) {
    return 0;
  }
  my_account()->produced++;
  struct syscall_key key = {.cgroup = cgroup, .number = number};
  struct syscall_times* entry = bpf_map_lookup_elem(&times, &key);
  if (!entry) {
    bpf_map_update_elem(&times, &key, &no_times, BPF_NOEXIST);
    entry = bpf_map_lookup_elem(&times, &key);
    if (!entry) {
      my_account()->dropped_map_full++;
      return 0;
    }
  }
  entry->calls++;
  if (is_timed) {
    add_time(&entry->timed, took_ns);
    if (slow_ns && took_ns >= slow_ns &&
        !(treatment[key.number & (SYSCALL_NUMBERS - 1)] & SYSCALL_WAITS))
      tell_slow(&key, took_ns, result, first);
  }
  if (result < 0 && result >= -MAX_ERRNO) count_error(&key, result);
  return 0;
}

static __always_inline long first_of_current(void) {
  struct pt_regs* regs = (struct pt_regs*)bpf_task_pt_regs(bpf_get_current_task_btf());
  return SYSCALL_FIRST(regs);
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(syscall_enter, struct pt_regs* regs, long number) { return enter(number); }

SEC("?tp_btf/sys_exit")
int BPF_PROG(syscall_exit, struct pt_regs* regs, long result) {
  return leave(SYSCALL_NUMBER(regs), result, SYSCALL_FIRST(regs));
}

// For kernels whose BTF does not describe these tracepoints; some 30 ns more per call.
SEC("?tracepoint/raw_syscalls/sys_enter")
int syscall_enter_tp(struct trace_event_raw_sys_enter* context) { return enter(context->id); }

SEC("?tracepoint/raw_syscalls/sys_exit")
int syscall_exit_tp(struct trace_event_raw_sys_exit* context) {
  return leave(context->id, context->ret, first_of_current());
}

// A program may not read beyond what a call's own tracepoint describes, and there the number is an
// int; a call without arguments has nothing behind it.
#define NUMBER_IN(context) (*(int*)((char*)(context) + 8))

// For a few chosen syscalls: attached to the tracepoints of each, so that all others pay next to
// nothing.
SEC("?tracepoint")
int syscall_enter_one(struct trace_event_raw_sys_enter* context) {
  return enter(NUMBER_IN(context));
}

SEC("?tracepoint")
int syscall_exit_one(struct trace_event_raw_sys_exit* context) {
  return leave(NUMBER_IN(context), context->ret, first_of_current());
}

char LICENSE[] SEC("license") = "GPL";
