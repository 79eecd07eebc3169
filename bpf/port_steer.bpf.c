// New TCP connections to one port of a network namespace are handed to a listener of ours, whatever
// listens there. What proxies of ours connect is known by its source port, with the stage of the
// proxy: it goes on to those behind it and to the server, never back; so several faults on one port
// add up. The link belongs to the proxy's process: when it ends, the port is its owner's again.
#include "kernel.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IPPROTO_TCP 6
#define SK_PASS 1

struct bpf_sk_lookup {
  __u64 sk;  // or cookie
  __u32 family;
  __u32 protocol;
  __u32 remote_ip4;
  __u32 remote_ip6[4];
  __u16 remote_port;  // network order
  __u16 padding;
  __u32 local_ip4;
  __u32 local_ip6[4];
  __u32 local_port;  // host order
};

const volatile __u32 steered_port;
const volatile __u32 stage;
const volatile __u32 network;  // which namespace, as all proxies call it

struct {
  __uint(type, BPF_MAP_TYPE_SOCKMAP);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} listener SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u64);    // namespace, source port
  __type(value, __u32);  // stage
} flt_own_ports SEC(".maps");

SEC("sk_lookup")
int steer(struct bpf_sk_lookup* ctx) {
  if (ctx->protocol != IPPROTO_TCP || ctx->local_port != steered_port) return SK_PASS;
  __u64 source = (__u64)network << 16 | bpf_ntohs(ctx->remote_port);
  __u32* from = bpf_map_lookup_elem(&flt_own_ports, &source);
  if (from && *from >= stage) return SK_PASS;
  __u32 first = 0;
  struct bpf_sock* socket = bpf_map_lookup_elem(&listener, &first);
  if (!socket) return SK_PASS;
  bpf_sk_assign(ctx, socket, 0);
  bpf_sk_release(socket);
  return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
