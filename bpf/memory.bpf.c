// Reclaim that tasks do themselves, by cgroup: for want of free pages on the node (direct), or at
// the limit of their cgroup. The time is what the task stood still for.
#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "cgroup_key.h"
#include "counts.h"
#include "memory.h"

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, __u64);
} begun SEC(".maps");

COUNTS_BY_CGROUP(struct memory_counts, 1024)

static __always_inline int begin(void) {
  __u64* at_ns =
      bpf_task_storage_get(&begun, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (at_ns) *at_ns = bpf_ktime_get_ns();
  return 0;
}

static __always_inline __u64 end(void) {
  __u64* at_ns = bpf_task_storage_get(&begun, bpf_get_current_task_btf(), 0, 0);
  if (!at_ns || !*at_ns) return 0;
  __u64 took_ns = bpf_ktime_get_ns() - *at_ns;
  *at_ns = 0;
  return took_ns ? took_ns : 1;
}

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int BPF_PROG(memory_direct_begin) { return begin(); }

SEC("tp_btf/mm_vmscan_memcg_reclaim_begin")
int BPF_PROG(memory_limit_begin) { return begin(); }

SEC("tp_btf/mm_vmscan_direct_reclaim_end")
int BPF_PROG(memory_direct_end, unsigned long pages) {
  __u64 took_ns = end();
  if (!took_ns) return 0;
  struct memory_counts* entry = counts_of(memory_key(bpf_get_current_task_btf()));
  if (!entry) return 0;
  add_time(&entry->direct, took_ns);
  entry->direct_pages += pages;
  return 0;
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_end")
int BPF_PROG(memory_limit_end, unsigned long pages) {
  __u64 took_ns = end();
  if (!took_ns) return 0;
  struct memory_counts* entry = counts_of(memory_key(bpf_get_current_task_btf()));
  if (!entry) return 0;
  add_time(&entry->limit, took_ns);
  entry->limit_pages += pages;
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
