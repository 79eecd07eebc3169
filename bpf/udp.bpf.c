// Datagrams that came for a UDP socket and were thrown away because its buffer was full, by the
// cgroup that made the socket (v2), or the one its memory is charged to.
#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "cgroup_key.h"
#include "counts.h"
#include "udp.h"

COUNTS_BY_CGROUP(struct udp_counts, 1024)

static __always_inline __u64 owner_of(struct sock* sk) {
  struct cgroup* unified = BPF_CORE_READ(sk, sk_cgrp_data.cgroup);
  __u64 key = unified ? BPF_CORE_READ(unified, kn, id) : 1;
  if (unified && BPF_CORE_READ(unified, level) > 0) return key;
  if (!bpf_core_field_exists(sk->sk_memcg)) return key;
  struct cgroup* memory = BPF_CORE_READ(sk, sk_memcg, css.cgroup);
  if (!memory || BPF_CORE_READ(memory, level) == 0) return key;
  return BPF_CORE_READ(memory, kn, id) | CGROUP_KEY_V1_BIT;
}

SEC("tp_btf/udp_fail_queue_rcv_skb")
int BPF_PROG(udp_drop, int error, struct sock* sk) {
  struct udp_counts* entry = counts_of(owner_of(sk));
  if (entry) entry->receive_drops++;
  return 0;
}

char LICENSE[] SEC("license") = "GPL";
