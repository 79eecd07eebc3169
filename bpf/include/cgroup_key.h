// Whom a task belongs to, as one number: the id of its v2 cgroup, or, when that is the root and v1
// carries the memory controller elsewhere, the id of its v1 memory cgroup with kV1Bit.
// agent/containers knows both.
#pragma once

#include "kernel.h"

#include <bpf/bpf_core_read.h>

#define CGROUP_KEY_V1_BIT (1ULL << 63)

// 0 when the task has no memory cgroup that is not of the unified hierarchy.
static __always_inline __u64 v1_memory_key(struct css_set* set, struct cgroup* unified) {
  if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id)) return 0;
  struct cgroup_subsys_state* state =
      set->subsys[bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id)];
  if (!state) return 0;
  struct cgroup* cgroup = state->cgroup;
  if (cgroup->root == unified->root || cgroup->level == 0) return 0;
  return cgroup->kn->id | CGROUP_KEY_V1_BIT;
}

static __always_inline __u64 cgroup_key(struct task_struct* task) {
  struct css_set* set = task->cgroups;
  struct cgroup* unified = set->dfl_cgrp;
  if (unified->level == 0) {
    __u64 key = v1_memory_key(set, unified);
    if (key) return key;
  }
  return unified->kn->id;
}

// The cgroup that a task's memory is charged to: v1 first.
static __always_inline __u64 memory_key(struct task_struct* task) {
  struct css_set* set = task->cgroups;
  struct cgroup* unified = set->dfl_cgrp;
  __u64 key = v1_memory_key(set, unified);
  return key ? key : unified->kn->id;
}
