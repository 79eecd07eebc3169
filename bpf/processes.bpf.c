// fork, exec and exit of every process (not of threads), and tasks that hang in the kernel: a
// record each (but for forks), and exact counts by cgroup that do not depend on the ring's room.
// Who sent the signal that ended a process is remembered from the sending to the end. Records wake
// nobody: they are read once a pass, or when the ring is half full.
#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "account.h"
#include "cgroup_key.h"
#include "processes.h"

#define RING_BYTES (256 * 1024)

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, RING_BYTES);
} ring SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(max_entries, 2048);
  __type(key, __u64);
  __type(value, struct process_counts);
} counts SEC(".maps");

struct sender {
  __u32 signal;
  __u32 pid;
  char comm[16];
};

// Of signals that end processes, by the receiver's tgid.
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1024);
  __type(key, __u32);
  __type(value, struct sender);
} senders SEC(".maps");

const volatile bool with_arguments = false;

static const struct process_counts no_counts;

static __always_inline struct process_counts* counts_of(__u64 cgroup) {
  struct process_counts* entry = bpf_map_lookup_elem(&counts, &cgroup);
  if (entry) return entry;
  bpf_map_update_elem(&counts, &cgroup, &no_counts, BPF_NOEXIST);
  entry = bpf_map_lookup_elem(&counts, &cgroup);
  if (!entry) my_account()->counts_lost++;
  return entry;
}

static __always_inline struct process_record* new_record(struct task_struct* task, __u64 cgroup,
                                                         __u32 step) {
  struct account* account = my_account();
  account->produced++;
  struct process_record* record = bpf_ringbuf_reserve(&ring, sizeof *record, 0);
  if (!record) {
    account->dropped_ring_full++;
    return 0;
  }
  record->at_ns = bpf_ktime_get_ns();
  record->cgroup = cgroup;
  record->pid = task->tgid;
  record->parent_pid = task->real_parent->tgid;
  record->step = step;
  record->exit_code = 0;
  __builtin_memcpy(record->comm, task->comm, sizeof record->comm);
  record->file[0] = 0;
  record->sender_pid = 0;
  record->sender_comm[0] = 0;
  record->arguments_bytes = 0;
  return record;
}

static __always_inline void submit(struct process_record* record) {
  __u64 flags = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > RING_BYTES / 2 ? BPF_RB_FORCE_WAKEUP
                                                                             : BPF_RB_NO_WAKEUP;
  bpf_ringbuf_submit(record, flags);
}

static __always_inline int on_exec(const char* file) {
  struct task_struct* task = bpf_get_current_task_btf();
  __u64 cgroup = cgroup_key(task);
  struct process_counts* entry = counts_of(cgroup);
  if (entry) entry->execs++;
  struct process_record* record = new_record(task, cgroup, PROCESS_EXEC);
  if (!record) return 0;
  if (file) bpf_probe_read_kernel_str(record->file, sizeof record->file, file);
  if (with_arguments) {
    struct mm_struct* mm = task->mm;
    unsigned long begin = mm ? mm->arg_start : 0, end = mm ? mm->arg_end : 0;
    __u64 bytes = end - begin;
    if (bytes > PROCESS_ARGUMENTS_BYTES) bytes = PROCESS_ARGUMENTS_BYTES;
    if (begin && end > begin &&
        bpf_probe_read_user(record->arguments, (__u32)bytes, (const void*)begin) == 0)
      record->arguments_bytes = bytes;
  }
  submit(record);
  return 0;
}

static __always_inline int on_exit(void) {
  struct task_struct* task = bpf_get_current_task_btf();
  if (task->signal->live.counter != 0) return 0;  // other threads go on
  __u64 cgroup = cgroup_key(task);
  __u32 code = task->signal->group_exit_code;
  if (!code) code = task->exit_code;
  struct process_counts* entry = counts_of(cgroup);
  if (entry) {
    entry->exits++;
    if (code & 0x7F) entry->killed++;
  }
  struct process_record* record = new_record(task, cgroup, PROCESS_EXIT);
  if (!record) return 0;
  record->exit_code = code;
  if (code & 0x7F) {
    __u32 pid = task->tgid;
    struct sender* sender = bpf_map_lookup_elem(&senders, &pid);
    if (sender && sender->signal == (code & 0x7F)) {
      record->sender_pid = sender->pid;
      __builtin_memcpy(record->sender_comm, sender->comm, sizeof record->sender_comm);
    }
    bpf_map_delete_elem(&senders, &pid);
  }
  submit(record);
  return 0;
}

static __always_inline int on_fork(struct task_struct* child) {
  if (child->pid != child->tgid) return 0;  // a thread
  struct process_counts* entry = counts_of(cgroup_key(child));
  if (entry) entry->forks++;
  return 0;
}

// Those that never end anybody by themselves: CHLD, CONT, URG, WINCH, STOP, TSTP, TTIN, TTOU.
#define HARMLESS_SIGNALS                                                                      \
  (1ULL << 17 | 1ULL << 18 | 1ULL << 23 | 1ULL << 28 | 1ULL << 19 | 1ULL << 20 | 1ULL << 21 | \
   1ULL << 22)

SEC("?tp_btf/signal_generate")
int BPF_PROG(process_signal, int signal, void* facts, struct task_struct* receiver) {
  if (signal <= 0 || signal > 31 || HARMLESS_SIGNALS >> signal & 1) return 0;
  struct sender sender = {.signal = signal, .pid = bpf_get_current_pid_tgid() >> 32};
  bpf_get_current_comm(sender.comm, sizeof sender.comm);
  __u32 pid = receiver->tgid;
  bpf_map_update_elem(&senders, &pid, &sender, 0);
  return 0;
}

SEC("?tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct* parent, struct task_struct* child) {
  return on_fork(child);
}

SEC("?tp_btf/sched_process_hang")
int BPF_PROG(process_hang, struct task_struct* task) {
  __u64 cgroup = cgroup_key(task);
  struct process_counts* entry = counts_of(cgroup);
  if (entry) entry->hangs++;
  struct process_record* record = new_record(task, cgroup, PROCESS_HANGS);
  if (record) submit(record);
  return 0;
}

SEC("?tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct* task, int old_pid, struct linux_binprm* binary) {
  return on_exec(binary->filename);
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(process_exit) { return on_exit(); }

SEC("?tracepoint/sched/sched_process_exec")
int process_exec_tp(void* context) { return on_exec(0); }

SEC("?tracepoint/sched/sched_process_exit")
int process_exit_tp(void* context) { return on_exit(); }

char LICENSE[] SEC("license") = "GPL";
