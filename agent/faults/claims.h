// The fingerprint of a host, one thing at a time: what a fault may change has a name, and a value
// that can be read before and after. Values are short texts (large things are hashed), for
// comparing and for people.
//   control:PATH               a small file of /proc, /sys or a cgroup: its text
//   file:PATH                  type, mode, owner, size, time and checksum
//   folder:PATH                the names in it
//   mounts:PATH                mounts at and below PATH, ours and of the host
//   limit:RESOURCE:PID:START   soft and hard limit of a process (prlimit), e.g. limit:nofile:42:99
//   process:PID:START          its state: stopped, lives, ended
//   link:NETNS:DEVICE          up or down, MTU, queueing discipline, XDP
//   qdisc:NETNS:DEVICE         queueing disciplines, classes and filters
//   nft:NETNS                  tables, chains and the number of rules (iptables-nft is in there)
//   iptables:NETNS             the legacy tables: number of entries
//   ipset:NETNS                names of sets
// NETNS is a file that stands for the namespace (network_namespace.h), empty for our own.
#pragma once

#include <string>
#include <vector>

#include "agent/faults/fault.h"

namespace faultline {

constexpr std::string_view kAbsent = "absent";

// kAbsent when it is not there; kInvalidArgument for a claim of no known kind.
Result<std::string> ReadClaim(const std::string& claim, const FaultHost& host);

// Before Inject: fills in what is there now, or what was there before the others came that claim
// the same.
Result<void> FillClaims(FaultPlan& plan, const FaultHost& host);
// After Recover: "qdisc:… was X, is Y" for each claim that nobody else holds and that differs. A
// thing that vanished with its owner (a cgroup, a namespace, a process) is no residue.
std::vector<std::string> CompareClaims(const FaultPlan& plan, const FaultHost& host);

// claims_network.cc
Result<std::string> ReadNetworkClaim(std::string_view kind, const std::string& network_namespace,
                                     const std::string& device);

}  // namespace faultline
