// What the classifier of network faults and user space share. One loaded object per fault, device
// and direction; its settings are constants, its counters are read while it runs.
#pragma once

// Of the 16 bits that a packet carries: which faults of one device and direction it has been
// through. The rest tells the device, because packets cross namespaces with their mark.
#define NETWORK_FAULT_STAGE_BITS 5
#define NETWORK_FAULT_MAX_STAGE 31
#define NETWORK_FAULT_PORT_RANGES 8
#define NETWORK_FAULT_REMOTE_PORTS 8
#define NETWORK_FAULT_MAX_REMOTES 1024
// A probability of 1.
#define NETWORK_FAULT_ALWAYS (1ULL << 32)

struct network_fault_chance {
  unsigned long long probability;  // of 2^32
  unsigned long long correlation;  // of 2^32: how often the last decision is taken again
};

struct network_fault_ports {
  unsigned short first;
  unsigned short last;
};

struct network_fault_config {
  // The order among the faults of one device and direction, and what a packet that has been
  // through carries.
  unsigned int stage;
  unsigned int place;  // of device and direction, not 0, in the upper bits of 16
  unsigned int device_ifindex;
  unsigned int detour_ifindex;  // 0: none
  unsigned int l2_bytes;
  unsigned int egress;
  unsigned int protocol;  // 0: all
  unsigned int has_remotes;
  unsigned int local_ranges;
  unsigned int remote_ranges;
  unsigned int exempt_count;
  unsigned int accept_flags_mask;  // TCP packets whose flags are so are left alone; 0: off
  unsigned int accept_flags_value;
  unsigned long long cgroup_id;  // of v2; 0: whoever sends
  // By the monotonic clock: from then on nothing happens any more, whoever has died; 0: never.
  unsigned long long until_ns;
  unsigned int cgroup_level;
  // What comes back addressed to the device itself is an answer of ours: it is received, not sent.
  unsigned int answers;
  unsigned char device_mac[8];
  struct network_fault_chance loss;
  struct network_fault_chance duplicate;
  struct network_fault_chance corrupt;
  struct network_fault_ports local[NETWORK_FAULT_PORT_RANGES];
  struct network_fault_ports remote[NETWORK_FAULT_PORT_RANGES];
  unsigned short exempt[NETWORK_FAULT_PORT_RANGES];  // TCP ports that no fault touches
};

// An address or prefix, IPv4 as ::ffff:a.b.c.d.
struct network_fault_remote {
  unsigned int prefix_bits;
  unsigned char address[16];
};
struct network_fault_remote_ports {
  unsigned int count;  // 0: any
  unsigned short ports[NETWORK_FAULT_REMOTE_PORTS];
};

struct network_fault_counts {
  unsigned long long matched;
  unsigned long long dropped;
  unsigned long long duplicated;
  unsigned long long corrupted;
  unsigned long long detoured;
};
