// OOM kills with their victim and its memory cgroup. The raw tracepoint hands out the victim itself
// on newer kernels; on older ones only its pid, and user space asks /proc before the victim is
// gone.
#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "account.h"
#include "cgroup_key.h"
#include "oom.h"

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 64 * 1024);
} ring SEC(".maps");

static __always_inline struct oom_record* new_record(void) {
  struct account* account = my_account();
  account->produced++;
  struct oom_record* record = bpf_ringbuf_reserve(&ring, sizeof *record, 0);
  if (!record) {
    account->dropped_ring_full++;
    return 0;
  }
  record->at_ns = bpf_ktime_get_ns();
  record->killer_pid = bpf_get_current_pid_tgid() >> 32;
  return record;
}

SEC("?tp_btf/mark_victim")
int BPF_PROG(oom_victim, struct task_struct* victim) {
  struct oom_record* record = new_record();
  if (!record) return 0;
  record->cgroup = memory_key(victim);
  record->pid = victim->tgid;
  __builtin_memcpy(record->comm, victim->comm, sizeof record->comm);
  bpf_ringbuf_submit(record, 0);
  return 0;
}

SEC("?tracepoint/oom/mark_victim")
int oom_victim_tp(struct trace_event_raw_mark_victim* context) {
  struct oom_record* record = new_record();
  if (!record) return 0;
  record->cgroup = 0;
  record->pid = context->pid;
  record->comm[0] = 0;
  bpf_ringbuf_submit(record, 0);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
