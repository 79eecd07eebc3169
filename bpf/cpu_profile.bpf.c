// What runs on the CPUs, counted in the kernel by container, process and stack. User space opens a
// clock event on every CPU; each tick of it that finds work is one sample.
#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "account.h"
#include "cgroup_key.h"
#include "cpu_profile.h"

#define BPF_F_USER_STACK (1 << 8)

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct cpu_profile_stack);
} scratch SEC(".maps");

// The kernel's own maps of stacks give up one in five when they are half full: two whose hashes
// share a few bits do not fit in.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 2048);
  __type(key, __u64);
  __type(value, struct cpu_profile_stack);
} stacks SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 2048);
  __type(key, struct cpu_profile_key);
  __type(value, __u64);
} samples SEC(".maps");

static __always_inline __u64 stack_of(void* context, __u64 flags, struct account* account) {
  __u32 zero = 0;
  struct cpu_profile_stack* stack = bpf_map_lookup_elem(&scratch, &zero);
  if (!stack) return CPU_PROFILE_NO_STACK;
  long bytes = bpf_get_stack(context, stack->frames, sizeof stack->frames, flags);
  if (bytes <= 0) return CPU_PROFILE_NO_STACK;
  __u64 hash = 0xcbf29ce484222325;
  for (int i = 0; i < CPU_PROFILE_DEPTH; ++i) {
    if (i * 8 >= bytes) stack->frames[i] = 0;  // of the one before
    hash = (hash ^ stack->frames[i]) * 0x9E3779B97F4A7C15;
    hash ^= hash >> 29;
  }
  hash |= 2;  // neither of the two that say why there is none
  if (bpf_map_lookup_elem(&stacks, &hash)) return hash;
  if (bpf_map_update_elem(&stacks, &hash, stack, BPF_ANY) == 0) return hash;
  account->counts_lost++;
  return CPU_PROFILE_STACK_LOST;
}

SEC("perf_event")
int cpu_profile_tick(void* context) {
  __u64 process = bpf_get_current_pid_tgid();
  if (!process) return 0;  // idle
  struct account* account = my_account();
  account->produced++;
  struct cpu_profile_key key = {};
  key.cgroup = cgroup_key(bpf_get_current_task_btf());
  key.pid = process >> 32;
  key.in_kernel = stack_of(context, 0, account);
  key.in_user = stack_of(context, BPF_F_USER_STACK, account);
  bpf_get_current_comm(key.thread, sizeof key.thread);
  __u64* count = bpf_map_lookup_elem(&samples, &key);
  if (!count) {
    __u64 none = 0;
    bpf_map_update_elem(&samples, &key, &none, BPF_NOEXIST);
    count = bpf_map_lookup_elem(&samples, &key);
  }
  if (count) {
    __sync_fetch_and_add(count, 1);
  } else {
    account->dropped_map_full++;
  }
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
