// Both ends of a socket, by address.
#pragma once

#include "kernel.h"

#include <bpf/bpf_core_read.h>

#define AF_INET 2
#define AF_INET6 10

static __always_inline void map_address(__u8* to, __be32 address) {
  __builtin_memset(to, 0, 16);
  to[10] = to[11] = 0xFF;
  __builtin_memcpy(to + 12, &address, 4);
}

static __always_inline bool is_loopback(const __u8* address) {
  const __u64* words = (const __u64*)address;
  if (words[0]) return false;
  if (address[10] == 0xFF && address[11] == 0xFF) return address[12] == 127;
  return words[1] == (1ULL << 56);  // ::1
}

// `place` is a struct with the fields address, net and port.
#define PLACES_OF(sk, mine, peers)                                                      \
  do {                                                                                  \
    __builtin_memset(mine, 0, sizeof *(mine));                                          \
    __builtin_memset(peers, 0, sizeof *(peers));                                        \
    if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6) {                        \
      BPF_CORE_READ_INTO(&(mine)->address, sk, __sk_common.skc_v6_rcv_saddr);           \
      BPF_CORE_READ_INTO(&(peers)->address, sk, __sk_common.skc_v6_daddr);              \
    } else {                                                                            \
      map_address((mine)->address, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));       \
      map_address((peers)->address, BPF_CORE_READ(sk, __sk_common.skc_daddr));          \
    }                                                                                   \
    (mine)->port = BPF_CORE_READ(sk, __sk_common.skc_num);                              \
    (peers)->port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));        \
    if (is_loopback((peers)->address))                                                  \
      (mine)->net = (peers)->net = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum); \
  } while (0)
