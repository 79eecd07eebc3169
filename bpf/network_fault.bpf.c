// Network faults as a traffic classifier: loss, duplicates, corruption and partitions are done
// here; what must wait (delay, rate) or be answered by us (DNS) is sent on a detour, a device of
// ours, and comes back through `network_return`. tc_index tells which faults a packet has been
// through, so that any number of faults on one device add up and can be removed in any order. Fails
// open: when nobody feeds the detour any more, packets go straight on.
#include "skb.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "network_fault.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86DD
#define IPPROTO_ICMP 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ICMPV6 58
#define FRAGMENT_HEADER 44

const volatile struct network_fault_config config;
struct network_fault_counts counts;
__u64 alive_until_ns;  // of the detour, by the monotonic clock; it is kept ahead by who feeds it
__u32 last_loss, last_duplicate, last_corrupt;

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, NETWORK_FAULT_MAX_REMOTES);
  __type(key, struct network_fault_remote);
  __type(value, struct network_fault_remote_ports);
} remotes SEC(".maps");

struct packet {
  struct network_fault_remote remote;
  __u32 transport;  // protocol number
  __u32 l4;         // offset
  __u32 has_ports;
  __u16 local_port;
  __u16 remote_port;
  __u32 tcp_flags;
  __u32 is_v4;
};

static __always_inline int decide(const volatile struct network_fault_chance* chance, __u32* last) {
  if (chance->probability == 0) return 0;
  if (chance->probability >= NETWORK_FAULT_ALWAYS) return 1;
  if (chance->correlation && bpf_get_prandom_u32() < chance->correlation) return *last;
  *last = bpf_get_prandom_u32() < chance->probability;
  return *last;
}

static __always_inline void count(__u64* counter, struct __sk_buff* skb) {
  __u32 packets = skb->gso_segs;
  __sync_fetch_and_add(counter, packets ? packets : 1);
}

static __always_inline int read_v4(struct __sk_buff* skb, struct packet* packet, int* fragment) {
  __u8 header[20];
  if (bpf_skb_load_bytes(skb, config.l2_bytes, header, sizeof header)) return 0;
  packet->is_v4 = 1;
  packet->transport = header[9];
  packet->l4 = config.l2_bytes + (header[0] & 15) * 4;
  *fragment = ((header[6] & 0x1f) << 8 | header[7]) != 0;
  packet->remote.address[10] = packet->remote.address[11] = 0xff;
  __builtin_memcpy(packet->remote.address + 12, header + (config.egress ? 16 : 12), 4);
  return 1;
}

static __always_inline int read_v6(struct __sk_buff* skb, struct packet* packet, int* fragment) {
  __u8 header[40];
  if (bpf_skb_load_bytes(skb, config.l2_bytes, header, sizeof header)) return 0;
  __builtin_memcpy(packet->remote.address, header + (config.egress ? 24 : 8), 16);
  packet->transport = header[6];
  packet->l4 = config.l2_bytes + 40;
  for (int i = 0; i < 4; ++i) {  // hop-by-hop, routing, fragment, destination options
    if (packet->transport != 0 && packet->transport != 43 && packet->transport != 60 &&
        packet->transport != FRAGMENT_HEADER)
      break;
    __u8 option[4];
    if (bpf_skb_load_bytes(skb, packet->l4, option, sizeof option)) return 0;
    if (packet->transport == FRAGMENT_HEADER) {
      *fragment = (option[2] << 8 | (option[3] & 0xf8)) != 0;
      packet->l4 += 8;
    } else {
      packet->l4 += (option[1] + 1) * 8;
    }
    packet->transport = option[0];
  }
  return 1;
}

static __always_inline int read_packet(struct __sk_buff* skb, struct packet* packet) {
  int fragment = 0;
  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    if (!read_v4(skb, packet, &fragment)) return 0;
  } else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
    if (!read_v6(skb, packet, &fragment)) return 0;
  } else {
    return 0;
  }
  if (fragment) return 1;
  if (packet->transport == IPPROTO_TCP || packet->transport == IPPROTO_UDP) {
    __u8 ports[4];
    if (bpf_skb_load_bytes(skb, packet->l4, ports, sizeof ports)) return 1;
    __u16 source = ports[0] << 8 | ports[1], destination = ports[2] << 8 | ports[3];
    packet->has_ports = 1;
    packet->local_port = config.egress ? source : destination;
    packet->remote_port = config.egress ? destination : source;
    __u8 flags = 0;
    if (packet->transport == IPPROTO_TCP && !bpf_skb_load_bytes(skb, packet->l4 + 13, &flags, 1))
      packet->tcp_flags = flags;
  }
  if (packet->transport == IPPROTO_ICMPV6) {
    __u8 type = 0;
    // Neighbours must be found, or nothing else would be seen of the fault.
    if (bpf_skb_load_bytes(skb, packet->l4, &type, 1) || (type >= 133 && type <= 137)) return 0;
  }
  return 1;
}

static __always_inline int in_ranges(const volatile struct network_fault_ports* ranges, __u32 many,
                                     __u16 port) {
  if (many == 0) return 1;
  for (__u32 i = 0; i < NETWORK_FAULT_PORT_RANGES; ++i) {
    if (i >= many) break;
    if (port >= ranges[i].first && port <= ranges[i].last) return 1;
  }
  return 0;
}

static __always_inline int is_exempt(const struct packet* packet) {
  if (packet->transport != IPPROTO_TCP) return 0;
  for (__u32 i = 0; i < NETWORK_FAULT_PORT_RANGES; ++i) {
    if (i >= config.exempt_count) break;
    if (packet->local_port == config.exempt[i] || packet->remote_port == config.exempt[i]) return 1;
  }
  return config.accept_flags_mask &&
         (packet->tcp_flags & config.accept_flags_mask) == config.accept_flags_value;
}

static __always_inline int is_remote(const struct packet* packet) {
  if (!config.has_remotes) return 1;
  struct network_fault_remote key = packet->remote;
  key.prefix_bits = 128;
  const struct network_fault_remote_ports* ports = bpf_map_lookup_elem(&remotes, &key);
  if (!ports) return 0;
  if (ports->count == 0) return 1;
  for (__u32 i = 0; i < NETWORK_FAULT_REMOTE_PORTS; ++i) {
    if (i >= ports->count) break;
    if (packet->has_ports && ports->ports[i] == packet->remote_port) return 1;
  }
  return 0;
}

static __always_inline int is_meant(struct __sk_buff* skb, struct packet* packet) {
  if (config.cgroup_id && bpf_skb_ancestor_cgroup_id(skb, config.cgroup_level) != config.cgroup_id)
    return 0;
  if (!read_packet(skb, packet) || is_exempt(packet)) return 0;
  if (config.protocol && packet->transport != config.protocol &&
      !(config.protocol == IPPROTO_ICMP && packet->transport == IPPROTO_ICMPV6))
    return 0;
  if ((config.local_ranges || config.remote_ranges) && !packet->has_ports) return 0;
  return in_ranges(config.local, config.local_ranges, packet->local_port) &&
         in_ranges(config.remote, config.remote_ranges, packet->remote_port) && is_remote(packet);
}

// What a receiver's checksums discover. A packet that the kernel has yet to cut, or whose transport
// checksum is still to be filled in, would arrive well-formed: then the network header carries it.
static __always_inline void corrupt_packet(struct __sk_buff* skb, const struct packet* packet) {
  __u32 random = bpf_get_prandom_u32();
  __u32 at = config.l2_bytes + (packet->is_v4 ? 10 : 4);
  __u8 byte = 0;
  if (packet->transport != IPPROTO_TCP && packet->transport != IPPROTO_UDP) {
    __u32 room = skb->len > packet->l4 ? skb->len - packet->l4 : 0;
    if (room > 2) at = packet->l4 + 2 + random % (room - 2);
    random >>= 8;
  }
  if (bpf_skb_load_bytes(skb, at, &byte, 1)) return;
  byte ^= packet->is_v4 || at >= packet->l4 ? 1 << (random & 7) : 0x80;
  bpf_skb_store_bytes(skb, at, &byte, 1, 0);
}

static __always_inline __u32 passed(void) { return config.place | config.stage; }

SEC("tc")
int network_fault(struct __sk_buff* skb) {
  __u32 index = skb->tc_index;
  if ((index & ~NETWORK_FAULT_MAX_STAGE) == config.place &&
      (index & NETWORK_FAULT_MAX_STAGE) >= config.stage)
    return TC_ACT_UNSPEC;
  if (config.until_ns && bpf_ktime_get_ns() > config.until_ns) return TC_ACT_UNSPEC;
  struct packet packet = {};
  if (!is_meant(skb, &packet)) return TC_ACT_UNSPEC;
  count(&counts.matched, skb);
  __u32 detour = config.detour_ifindex;
  if (detour && bpf_ktime_get_ns() > alive_until_ns) detour = 0;
  if (decide(&config.loss, &last_loss)) {
    count(&counts.dropped, skb);
    return TC_ACT_STOLEN;
  }
  if (decide(&config.duplicate, &last_duplicate)) {
    count(&counts.duplicated, skb);
    if (detour) {
      bpf_clone_redirect(skb, detour, 0);
    } else {
      skb->tc_index = passed();
      bpf_clone_redirect(skb, config.device_ifindex, config.egress ? 0 : BPF_F_INGRESS);
      skb->tc_index = index;
    }
  }
  if (decide(&config.corrupt, &last_corrupt)) {
    count(&counts.corrupted, skb);
    if (skb->gso_segs > 1) return TC_ACT_STOLEN;  // its receiver would drop it
    corrupt_packet(skb, &packet);
  }
  if (!detour) return TC_ACT_UNSPEC;
  count(&counts.detoured, skb);
  return bpf_redirect(detour, 0);
}

SEC("tc")
int network_return(struct __sk_buff* skb) {
  skb->tc_index = passed();
  int answer = 0;
  if (config.answers) {
    __u8 mac[6];
    answer = !bpf_skb_load_bytes(skb, 0, mac, sizeof mac);
    for (int i = 0; i < 6; ++i) {
      if (mac[i] != config.device_mac[i]) answer = 0;
    }
  }
  return bpf_redirect(config.device_ifindex, config.egress && !answer ? 0 : BPF_F_INGRESS);
}

char LICENSE[] SEC("license") = "GPL";
