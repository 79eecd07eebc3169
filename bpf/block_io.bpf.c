// Latency, size and errors of block I/O by cgroup, device and operation. The owner is the cgroup
// that the kernel charges the I/O to (v2), or else the one of the task that made the request; what
// kernel threads write back for others on v1 is the node's.
#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "account.h"
#include "block_io.h"
#include "cgroup_key.h"

#define REQ_OP_MASK 0xFF
#define REQ_OP_DRV_IN 34

struct in_flight {
  __u64 made_at_ns;
  __u64 issued_at_ns;
  __u64 bytes;
  struct block_key key;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __type(key, __u64);  // address of the request
  __type(value, struct in_flight);
} in_flight SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(max_entries, 2048);
  __type(key, struct block_key);
  __type(value, struct block_counts);
} counts SEC(".maps");

static const struct block_counts no_counts;

static __always_inline __u64 owner_of(struct request* request) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct cgroup* charged = BPF_CORE_READ(request, bio, bi_blkg, blkcg, css.cgroup);
  if (charged && BPF_CORE_READ(charged, level) > 0 &&
      BPF_CORE_READ(charged, root) == BPF_CORE_READ(task, cgroups, dfl_cgrp, root))
    return BPF_CORE_READ(charged, kn, id);
  return cgroup_key(task);
}

static __always_inline __u32 device_of(struct request* request) {
  struct gendisk* disk;
  if (bpf_core_field_exists(request->q->disk)) {
    disk = BPF_CORE_READ(request, q, disk);
  } else {
    struct request___before_5_16* old = (void*)request;
    disk = BPF_CORE_READ(old, rq_disk);
  }
  return disk ? (__u32)BPF_CORE_READ(disk, major) << 20 | BPF_CORE_READ(disk, first_minor) : 0;
}

static __always_inline bool note(struct request* request, bool is_issued) {
  __u64 address = (__u64)request;
  __u64 now_ns = bpf_ktime_get_ns();
  struct in_flight* known = bpf_map_lookup_elem(&in_flight, &address);
  if (known) {
    if (is_issued) known->issued_at_ns = now_ns;
    return true;
  }
  __u32 flags = request->cmd_flags & REQ_OP_MASK;
  if (flags >= REQ_OP_DRV_IN) return true;  // commands to the device, no I/O
  struct in_flight fresh = {
      .made_at_ns = now_ns, .issued_at_ns = is_issued ? now_ns : 0, .bytes = request->__data_len};
  fresh.key.cgroup = owner_of(request);
  fresh.key.device = device_of(request);
  fresh.key.operation = flags <= 3 ? flags : BLOCK_OTHER;
  return bpf_map_update_elem(&in_flight, &address, &fresh, BPF_NOEXIST) == 0;
}

SEC("tp_btf/block_rq_insert")
int BPF_PROG(block_insert, struct request* request) {
  note(request, false);
  return 0;
}

SEC("tp_btf/block_rq_issue")
int BPF_PROG(block_issue, struct request* request) {
  if (note(request, true)) return 0;
  struct account* account = my_account();
  account->produced++;
  account->dropped_map_full++;
  return 0;
}

static __always_inline struct block_counts* counts_of(struct block_key* key) {
  struct block_counts* entry = bpf_map_lookup_elem(&counts, key);
  if (entry) return entry;
  bpf_map_update_elem(&counts, key, &no_counts, BPF_NOEXIST);
  return bpf_map_lookup_elem(&counts, key);
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_complete, struct request* request, unsigned char error, unsigned int bytes) {
  __u64 address = (__u64)request;
  struct in_flight* known = bpf_map_lookup_elem(&in_flight, &address);
  if (!known) return 0;  // older than the probe
  bool is_whole = bytes >= request->__data_len;
  struct block_counts* entry = counts_of(&known->key);
  if (is_whole) {
    my_account()->produced++;
    if (!entry) my_account()->dropped_map_full++;
  }
  if (entry) {
    entry->bytes += bytes;
    if (is_whole) {
      __u64 issued_at_ns = known->issued_at_ns ? known->issued_at_ns : known->made_at_ns;
      entry->requests++;
      add_time(&entry->device, bpf_ktime_get_ns() - issued_at_ns);
      entry->queued_ns += issued_at_ns - known->made_at_ns;
      if (error) entry->errors++;
    }
  }
  if (is_whole) bpf_map_delete_elem(&in_flight, &address);
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
