// What happened to the TCP sockets of one cgroup.
#pragma once

#define TCP_STATE_COUNT 16  // of <net/tcp_states.h>, which has 13; a power of two makes a mask

struct tcp_counts {
  __u64 records;           // all that was counted here, once each
  __u64 connects;          // active opens that were answered
  __u64 connect_failures;  // that were not: refused, timed out, aborted
  __u64 accepts;           // passive opens completed
  __u64 retransmits;       // segments
  __u64 resets_sent;
  __u64 resets_received;
  __s64 sockets[TCP_STATE_COUNT];  // by state: differences, their sum over the CPUs is the number
};
