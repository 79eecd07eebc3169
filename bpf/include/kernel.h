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
  BPF_MAP_TYPE_ARRAY = 2,
  BPF_MAP_TYPE_PERCPU_HASH = 5,
  BPF_MAP_TYPE_PERCPU_ARRAY = 6,
  BPF_MAP_TYPE_STACK_TRACE = 7,
  BPF_MAP_TYPE_LRU_HASH = 9,
  BPF_MAP_TYPE_LRU_PERCPU_HASH = 10,
  BPF_MAP_TYPE_LPM_TRIE = 11,
  BPF_MAP_TYPE_SOCKMAP = 15,
  BPF_MAP_TYPE_SK_STORAGE = 24,
  BPF_MAP_TYPE_RINGBUF = 27,
  BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
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
struct qstr {
  const unsigned char* name;
};
struct dentry {
  struct dentry* d_parent;
  struct qstr d_name;
};
struct path {
  struct dentry* dentry;
};
struct inode {
  unsigned short i_mode;
  unsigned long i_ino;
};
struct file {
  struct path f_path;
  struct inode* f_inode;
  void* private_data;
};
struct fdtable {
  unsigned int max_fds;
  struct file** fd;
};
struct mm_struct {
  unsigned long arg_start;
  unsigned long arg_end;
};
struct files_struct {
  struct fdtable* fdt;
};
struct task_struct {
  int pid;
  int tgid;
  int exit_code;
  int exit_signal;
  struct files_struct* files;
  struct mm_struct* mm;
  struct task_struct* real_parent;
  struct signal_struct* signal;
  struct css_set* cgroups;
  char comm[16];
  unsigned int __state;
  unsigned long maj_flt;
};
struct task_struct___before_5_14 {
  long state;
};
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
  unsigned long r8;
  unsigned long si;
  unsigned long di;
  unsigned long orig_ax;
};
// As the call was made; the kernel keeps both until it returns.
#define SYSCALL_NUMBER(regs) ((long)(regs)->orig_ax)
#define SYSCALL_FIRST(regs) ((long)(regs)->di)
#define SYSCALL_SECOND(regs) ((regs)->si)
#define SYSCALL_FIFTH(regs) ((regs)->r8)
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
  int syscallno;
  unsigned long orig_x0;
  unsigned long regs[31];
};
#define SYSCALL_NUMBER(regs) ((long)(regs)->syscallno)
#define SYSCALL_FIRST(regs) ((long)(regs)->orig_x0)
#define SYSCALL_SECOND(regs) ((regs)->regs[1])
#define SYSCALL_FIFTH(regs) ((regs)->regs[4])
#endif
struct blkcg {
  struct cgroup_subsys_state css;
};
struct blkcg_gq {
  struct blkcg* blkcg;
};
struct bio {
  struct blkcg_gq* bi_blkg;
};
struct gendisk {
  int major;
  int first_minor;
};
struct request_queue {
  struct gendisk* disk;
};
struct request {
  struct request_queue* q;
  unsigned int cmd_flags;
  unsigned int __data_len;
  struct bio* bio;
};
struct request___before_5_16 {
  struct gendisk* rq_disk;
};
struct linux_binprm {
  const char* filename;
};
struct sock_cgroup_data {
  struct cgroup* cgroup;
};
struct in6_addr {
  __u8 bytes[16];
} __attribute__((preserve_access_index));
struct ns_common {
  unsigned int inum;
};
struct net {
  struct ns_common ns;
};
typedef struct {
  struct net* net;
} possible_net_t;
struct sock_common {
  possible_net_t skc_net;
  volatile unsigned char skc_state;
  unsigned short skc_family;
  __be16 skc_dport;
  __u16 skc_num;
  __be32 skc_daddr;
  __be32 skc_rcv_saddr;
  struct in6_addr skc_v6_daddr;
  struct in6_addr skc_v6_rcv_saddr;
};
struct mem_cgroup {
  struct cgroup_subsys_state css;
};
struct sock {
  struct sock_common __sk_common;
  unsigned short sk_protocol;
  struct sock_cgroup_data sk_cgrp_data;
  struct mem_cgroup* sk_memcg;
};
struct tcp_sock {
  __u32 srtt_us;
  __u32 total_retrans;
  __u64 bytes_sent;
  __u64 bytes_retrans;
  __u64 bytes_received;
};
struct socket {
  struct sock* sk;
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
