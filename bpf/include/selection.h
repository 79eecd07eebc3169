// An allow-list of cgroups: a map, and before it a bitmap by the last bits of the key, so that most
// of those who are not selected are known by one look at memory.
#pragma once

#define SELECTION_BITS (1 << 14)

#ifdef __bpf__
#include "kernel.h"

#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __u64);
  __type(value, __u8);
} selected SEC(".maps");

__u64 maybe_selected[SELECTION_BITS / 64];

static __always_inline bool is_selected(__u64 cgroup) {
  __u32 bit = cgroup & (SELECTION_BITS - 1);
  if (!(maybe_selected[bit / 64] >> (bit & 63) & 1)) return false;
  return bpf_map_lookup_elem(&selected, &cgroup) != 0;
}
#endif
