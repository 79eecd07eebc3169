// The kernel types that our programs read, with only the fields they read; CO-RE moves each access
// to where the running kernel keeps the field. In place of a vmlinux.h, so that the build needs no
// kernel.
#pragma once

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef _Bool bool;
#define true 1
#define false 0

enum bpf_map_type {
  BPF_MAP_TYPE_HASH = 1,
  BPF_MAP_TYPE_PERCPU_HASH = 5,
  BPF_MAP_TYPE_SK_STORAGE = 24,
  BPF_MAP_TYPE_RINGBUF = 27,
  BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum { BPF_NOEXIST = 1 };
enum { BPF_F_NO_PREALLOC = 1, BPF_F_CLONE = 1 << 9 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2, BPF_RB_AVAIL_DATA = 0 };
enum { BPF_LOCAL_STORAGE_GET_F_CREATE = 1, BPF_SK_STORAGE_GET_F_CREATE = 1 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
  __u64 id;
};
struct cgroup_root;
struct cgroup {
  int level;
  struct kernfs_node* kn;
  struct cgroup_root* root;
};
struct cgroup_subsys_state {
  struct cgroup* cgroup;
};
struct css_set {
  struct cgroup_subsys_state* subsys[16];
  struct cgroup* dfl_cgrp;
};
typedef struct {
  int counter;
} atomic_t;
struct signal_struct {
  atomic_t live;
  int group_exit_code;
};
struct task_struct {
  int pid;
  int tgid;
  int exit_code;
  struct task_struct* real_parent;
  struct signal_struct* signal;
  struct css_set* cgroups;
  char comm[16];
};
struct pt_regs;
struct linux_binprm {
  const char* filename;
};
struct sock_cgroup_data {
  struct cgroup* cgroup;
};
struct sock_common {
  volatile unsigned char skc_state;
  unsigned short skc_family;
};
struct sock {
  struct sock_common __sk_common;
  unsigned short sk_protocol;
  struct sock_cgroup_data sk_cgrp_data;
};
struct sk_buff;

// Only its enumerator is asked for, by name: the number differs from kernel to kernel.
enum cgroup_subsys_id { memory_cgrp_id = 4 };

// Arguments of classic tracepoints, as /sys/kernel/tracing/events/*/format says; their layout is
// kept stable.
struct trace_event_raw_sys_enter {
  long id;
  unsigned long args[6];
};
struct trace_event_raw_sys_exit {
  long id;
  long ret;
};
struct trace_event_raw_mark_victim {
  int pid;
};

#pragma clang attribute pop
