// Counters by cgroup: COUNTS_BY_CGROUP(struct x, N) makes the map `counts` of at most N cgroups and
// counts_of(cgroup), which books one record. The first word of the struct must be `records`.
#pragma once

#include "account.h"

#define COUNTS_BY_CGROUP(counts_type, entries)                               \
  struct {                                                                   \
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);                                  \
    __uint(max_entries, entries);                                            \
    __type(key, __u64);                                                      \
    __type(value, counts_type);                                              \
  } counts SEC(".maps");                                                     \
  static const counts_type no_counts;                                        \
  /* Every change counted is a record; one that finds no room is dropped. */ \
  static __always_inline counts_type* counts_of(__u64 cgroup) {              \
    struct account* account = my_account();                                  \
    account->produced++;                                                     \
    counts_type* entry = bpf_map_lookup_elem(&counts, &cgroup);              \
    if (!entry) {                                                            \
      bpf_map_update_elem(&counts, &cgroup, &no_counts, BPF_NOEXIST);        \
      entry = bpf_map_lookup_elem(&counts, &cgroup);                         \
    }                                                                        \
    if (entry) {                                                             \
      entry->records++;                                                      \
    } else {                                                                 \
      account->dropped_map_full++;                                           \
    }                                                                        \
    return entry;                                                            \
  }
