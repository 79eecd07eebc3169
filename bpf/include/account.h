// Books of one probe, one line per CPU so that no two share a cache line: what was produced, and
// what the kernel side had to drop. Programs run with preemption off, so plain additions are exact.
// User space maps it.
#pragma once

#ifdef __bpf__
#include "kernel.h"

#include <bpf/bpf_helpers.h>
#else
#include <linux/types.h>
#endif

#define ACCOUNT_CPUS 512

struct account {
  __u64 produced;
  __u64 dropped_map_full;
  __u64 dropped_no_storage;
  __u64 dropped_ring_full;
  __u64 counts_lost;         // not a drop: a counter beside the records found no room
  __u64 turns;               // for sampling
  __u64 dropped_no_request;  // an answer to what was not seen
  __u64 unused;
};

#ifdef __bpf__
struct account accounts[ACCOUNT_CPUS] __attribute__((aligned(64)));

static __always_inline struct account* my_account(void) {
  return &accounts[bpf_get_smp_processor_id() & (ACCOUNT_CPUS - 1)];
}
#endif
