// Datagrams that the sockets of one cgroup had no room for.
#pragma once

#ifndef __bpf__
#include <linux/types.h>
#endif

struct udp_counts {
  __u64 records;
  __u64 receive_drops;
};
