// TCP by cgroup: opens, bytes, round trips, retransmitted segments, resets, and how many sockets
// are in which state; and the same by peer, which makes the map of who calls whom. Much of TCP runs
// in interrupts, where the current task is a stranger; so the owner is noted in the socket when its
// own task connects or listens, and a listener's children inherit it. Both ends of a connection
// within the node find each other by its addresses. Sockets older than the probe belong to the
// cgroup that made them (v2), and are no part of the state counts or peers.
#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "cgroup_key.h"
#include "counts.h"
#include "places.h"
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

struct owner {
  __u64 cgroup;
  __u64 peer_cgroup;
  __u64 began_at_ns;  // of a connection: when it was opened; 0 before
  __u32 direction;
  __u32 resets;
};

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
  __type(key, int);
  __type(value, struct owner);
} owners SEC(".maps");

COUNTS_BY_CGROUP(struct tcp_counts, 1024)

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(max_entries, 4096);
  __type(key, struct tcp_edge_key);
  __type(value, struct tcp_edge);
} edges SEC(".maps");

// Who has which end of a connection, while it is young. A lost entry loses a peer's name only.
struct ends {
  struct tcp_place mine;
  struct tcp_place peers;
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 8192);
  __type(key, struct ends);
  __type(value, __u64);
} callers SEC(".maps");

// Who answers at which address.
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, struct tcp_place);
  __type(value, __u64);
} services SEC(".maps");

static const struct tcp_edge no_edge;

// The cgroup that made the socket, as the kernel notes it: v2 only.
static __always_inline __u64 maker_of(const struct sock* sk) {
  struct cgroup* cgroup = sk->sk_cgrp_data.cgroup;
  return cgroup ? cgroup->kn->id : 1;
}

// The two loads stay apart: the verifier refuses one that reads from either kind of pointer.
static __always_inline __u64 key_of(struct owner* owner, const struct sock* sk) {
  __u64 key;
  if (owner) {
    key = owner->cgroup;
    barrier_var(key);
    return key;
  }
  key = maker_of(sk);
  barrier_var(key);
  return key;
}

static __always_inline __u64 owner_of(struct sock* sk) {
  struct owner* owner = bpf_sk_storage_get(&owners, sk, 0, 0);
  return key_of(owner, sk);
}

static __always_inline void places_of(struct sock* sk, struct tcp_place* mine,
                                      struct tcp_place* peers) {
  PLACES_OF(sk, mine, peers);
}

static __always_inline struct tcp_edge* edge_of(struct owner* owner, struct tcp_place* peers) {
  struct tcp_edge_key key = {.cgroup = owner->cgroup,
                             .peer_cgroup = owner->peer_cgroup,
                             .place = *peers,
                             .direction = owner->direction};
  if (owner->direction == TCP_FROM_PEER) key.place.port = 0;
  struct account* account = my_account();
  account->produced++;
  struct tcp_edge* edge = bpf_map_lookup_elem(&edges, &key);
  if (!edge) {
    bpf_map_update_elem(&edges, &key, &no_edge, BPF_NOEXIST);
    edge = bpf_map_lookup_elem(&edges, &key);
  }
  if (edge) {
    edge->records++;
  } else {
    account->dropped_map_full++;
  }
  return edge;
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

static __noinline int connected(struct owner* owner, struct sock* sk, __u64 took_ns) {
  if (!owner) return 0;
  struct ends ends;
  places_of(sk, &ends.mine, &ends.peers);
  bpf_map_update_elem(&callers, &ends, &owner->cgroup, 0);
  struct tcp_edge* edge = edge_of(owner, &ends.peers);
  if (!edge) return 0;
  edge->connections++;
  edge->connect_ns += took_ns;
  return 0;
}

static __noinline int accepted(struct owner* owner, struct sock* sk) {
  if (!owner) return 0;
  struct ends ends, mirrored;
  places_of(sk, &ends.mine, &ends.peers);
  mirrored.mine = ends.peers;
  mirrored.peers = ends.mine;
  __u64* caller = bpf_map_lookup_elem(&callers, &mirrored);
  owner->peer_cgroup = caller ? *caller : 0;
  bpf_map_update_elem(&services, &ends.mine, &owner->cgroup, 0);
  struct tcp_edge* edge = edge_of(owner, &ends.peers);
  if (edge) edge->connections++;
  return 0;
}

static __noinline int failed(struct owner* owner, struct sock* sk) {
  if (!owner) return 0;
  struct ends ends;
  places_of(sk, &ends.mine, &ends.peers);
  struct tcp_edge* edge = edge_of(owner, &ends.peers);
  if (edge) edge->failures++;
  return 0;
}

static __noinline int ended(struct owner* owner, struct tcp_counts* entry, struct sock* sk) {
  if (!owner || !entry) return 0;
  struct tcp_sock* tcp = (struct tcp_sock*)sk;
  __u64 sent = BPF_CORE_READ(tcp, bytes_sent) - BPF_CORE_READ(tcp, bytes_retrans);
  __u64 received = BPF_CORE_READ(tcp, bytes_received);
  __u64 rtt_ns = (__u64)(BPF_CORE_READ(tcp, srtt_us) >> 3) * 1000;
  entry->sent_bytes += sent;
  entry->received_bytes += received;
  if (rtt_ns) add_time(&entry->rtt, rtt_ns);
  struct ends ends;
  places_of(sk, &ends.mine, &ends.peers);
  struct tcp_edge* edge = edge_of(owner, &ends.peers);
  if (!edge) return 0;
  edge->closes++;
  edge->sent_bytes += sent;
  edge->received_bytes += received;
  edge->rtt_ns += rtt_ns;
  edge->retransmits += BPF_CORE_READ(tcp, total_retrans);
  edge->resets += owner->resets;
  edge->lifetime_ns += bpf_ktime_get_ns() - owner->began_at_ns;
  return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state, struct sock* sk, int from, int to) {
  if (sk->sk_protocol != IPPROTO_TCP) return 0;
  struct owner* owner = bpf_sk_storage_get(&owners, sk, 0, 0);
  if (to == TCP_SYN_SENT || to == TCP_LISTEN) {
    // In the task's own call: connect() or listen().
    struct owner fresh = {.cgroup = cgroup_key(bpf_get_current_task_btf())};
    if (to == TCP_SYN_SENT) fresh.began_at_ns = bpf_ktime_get_ns();
    if (to == TCP_LISTEN) fresh.direction = TCP_FROM_PEER;
    if (!owner) {
      owner = bpf_sk_storage_get(&owners, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
    } else {
      *owner = fresh;
    }
  }
  struct tcp_counts* entry = counts_of(key_of(owner, sk));
  if (!entry) return 0;
  if (owner) move(entry, from, to);
  if (from == TCP_SYN_SENT) {
    if (to == TCP_ESTABLISHED) {
      entry->connects++;
      if (owner) {
        __u64 took_ns = bpf_ktime_get_ns() - owner->began_at_ns;
        add_time(&entry->connect, took_ns);
        connected(owner, sk, took_ns);
      }
    }
    if (to == TCP_CLOSE) {
      entry->connect_failures++;
      failed(owner, sk);
    }
  } else if (from == TCP_SYN_RECV && to == TCP_ESTABLISHED) {
    entry->accepts++;
    if (owner) {
      owner->began_at_ns = bpf_ktime_get_ns();
      accepted(owner, sk);
    }
  } else if (to == TCP_CLOSE && owner && owner->began_at_ns) {
    ended(owner, entry, sk);
    owner->began_at_ns = 0;
  }
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
  struct owner* owner = bpf_sk_storage_get(&owners, sk, 0, 0);
  if (owner) owner->resets++;
  struct tcp_counts* entry = counts_of(key_of(owner, sk));
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
