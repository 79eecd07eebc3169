// TCP by cgroup: opens, retransmitted segments, resets, and how many sockets are in which state.
// Much of TCP runs in interrupts, where the current task is a stranger; so the owner is noted in
// the socket when its own task connects or listens, and a listener's children inherit it. Sockets
// older than the probe belong to the cgroup that made them (v2) and are no part of the state
// counts.
#include "kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "account.h"
#include "cgroup_key.h"
#include "tcp.h"

enum {
  TCP_ESTABLISHED = 1,
  TCP_SYN_SENT = 2,
  TCP_SYN_RECV = 3,
  TCP_TIME_WAIT = 6,
  TCP_CLOSE = 7,
  TCP_LISTEN = 10,
  TCP_NEW_SYN_RECV = 12,
};
#define IPPROTO_TCP 6

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
  __type(key, int);
  __type(value, __u64);
} owners SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(max_entries, 1024);
  __type(key, __u64);
  __type(value, struct tcp_counts);
} counts SEC(".maps");

static const struct tcp_counts no_counts;

// Every change counted is a record; one that finds no room in the map is dropped.
static __always_inline struct tcp_counts* counts_of(__u64 cgroup) {
  struct account* account = my_account();
  account->produced++;
  struct tcp_counts* entry = bpf_map_lookup_elem(&counts, &cgroup);
  if (!entry) {
    bpf_map_update_elem(&counts, &cgroup, &no_counts, BPF_NOEXIST);
    entry = bpf_map_lookup_elem(&counts, &cgroup);
  }
  if (entry) {
    entry->records++;
  } else {
    account->dropped_map_full++;
  }
  return entry;
}

// The cgroup that made the socket, as the kernel notes it: v2 only.
static __always_inline __u64 maker_of(const struct sock* sk) {
  struct cgroup* cgroup = sk->sk_cgrp_data.cgroup;
  return cgroup ? cgroup->kn->id : 1;
}

// The two loads stay apart: the verifier refuses one that reads from either kind of pointer.
static __always_inline __u64 key_of(__u64* owner, const struct sock* sk) {
  __u64 key;
  if (owner) {
    key = *owner;
    barrier_var(key);
    return key;
  }
  key = maker_of(sk);
  barrier_var(key);
  return key;
}

static __always_inline __u64 owner_of(struct sock* sk) {
  __u64* owner = bpf_sk_storage_get(&owners, sk, 0, 0);
  return key_of(owner, sk);
}

static __always_inline void move(struct tcp_counts* entry, int from, int to) {
  // A listener's child begins as a copy of the listener, which stays one.
  bool is_birth = from == TCP_CLOSE || (from == TCP_LISTEN && to == TCP_SYN_RECV);
  __u32 left = (__u32)from & (TCP_STATE_COUNT - 1), entered = (__u32)to & (TCP_STATE_COUNT - 1);
  barrier_var(left);
  barrier_var(entered);
  if (!is_birth) entry->sockets[left]--;
  if (to != TCP_CLOSE) entry->sockets[entered]++;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock* sk, int from, int to) {
  if (sk->sk_protocol != IPPROTO_TCP) return 0;
  __u64* owner = bpf_sk_storage_get(&owners, sk, 0, 0);
  if (!owner && (to == TCP_SYN_SENT || to == TCP_LISTEN)) {
    // In the task's own call: connect() or listen().
    __u64 key = cgroup_key(bpf_get_current_task_btf());
    owner = bpf_sk_storage_get(&owners, sk, &key, BPF_SK_STORAGE_GET_F_CREATE);
  }
  struct tcp_counts* entry = counts_of(key_of(owner, sk));
  if (!entry) return 0;
  if (owner) move(entry, from, to);
  if (from == TCP_SYN_SENT) {
    if (to == TCP_ESTABLISHED) entry->connects++;
    if (to == TCP_CLOSE) entry->connect_failures++;
  }
  if (from == TCP_SYN_RECV && to == TCP_ESTABLISHED) entry->accepts++;
  return 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(tcp_retransmit, struct sock* sk) {
  struct tcp_counts* entry = counts_of(owner_of(sk));
  if (entry) entry->retransmits++;
  return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(tcp_reset_received, struct sock* sk) {
  struct tcp_counts* entry = counts_of(owner_of(sk));
  if (entry) entry->resets_received++;
  return 0;
}

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(tcp_reset_sent, struct sock* sk) {
  __u64 key = 1;  // answered by the node: there is no socket
  if (sk) {
    // The small sockets of these states have no owner to read.
    unsigned char state = sk->__sk_common.skc_state;
    if (state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV) key = owner_of(sk);
  }
  struct tcp_counts* entry = counts_of(key);
  if (entry) entry->resets_sent++;
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
