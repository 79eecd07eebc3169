// What happened to the TCP sockets of one cgroup, and between it and each of its peers.
#pragma once

#include "bpf/include/times.h"

#define TCP_STATE_COUNT 16  // of <net/tcp_states.h>, which has 13; a power of two makes a mask

struct tcp_counts {
  __u64 records;           // all that was counted here, once each
  __u64 connects;          // active opens that were answered
  __u64 connect_failures;  // that were not: refused, timed out, aborted
  __u64 accepts;           // passive opens completed
  __u64 retransmits;       // segments
  __u64 resets_sent;
  __u64 resets_received;
  __u64 sent_bytes;                // of closed connections, without what was sent again
  __u64 received_bytes;            // of closed connections
  struct time_sums connect;        // from the first SYN to the answer
  struct time_sums rtt;            // smoothed, as it was when the connection ended
  __s64 sockets[TCP_STATE_COUNT];  // by state: differences, their sum over the CPUs is the number
};

enum tcp_direction { TCP_TO_PEER = 0, TCP_FROM_PEER = 1 };

// IPv4 addresses are written as IPv6 writes them, ::ffff:a.b.c.d.
struct tcp_place {
  __u8 address[16];
  __u32 net;  // number of the network namespace of a loopback address, else 0
  __u16 port;
  __u16 unused;
};

struct tcp_edge_key {
  __u64 cgroup;
  __u64 peer_cgroup;       // of who connects, where it lives on this node; else 0
  struct tcp_place place;  // of the peer; who connects to us has port 0
  __u32 direction;
  __u32 unused;
};

struct tcp_edge {
  __u64 records;
  __u64 connections;
  __u64 failures;
  __u64 closes;
  __u64 sent_bytes;
  __u64 received_bytes;
  __u64 retransmits;
  __u64 resets;
  __u64 rtt_ns;       // sum over `closes`
  __u64 connect_ns;   // sum over `connections`, to a peer
  __u64 lifetime_ns;  // sum over `closes`
};
