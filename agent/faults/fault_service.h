// The part of a fault that must live as long as the fault: a queue of packets, a proxy, a loop that
// answers the kernel. A process of its own (faultline-guardian --serve) that is given the plan and
// says when it is ready. Its command line carries the fault's uid, so that it is found again by
// whoever recovers. It ends by Recover, with the thread that started it (PR_SET_PDEATHSIG), or by
// its own alarm a little after the deadline; what it holds (descriptors, unpinned links, traced
// processes) the kernel then lets go, so that it fails open.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/faults/fault.h"
#include "agent/faults/process_identity.h"
#include "common/result.h"

namespace faultline {

// Starts it and waits until it is ready (ten seconds at most).
Result<void> StartFaultService(const FaultPlan& plan, const FaultHost& host);
std::vector<LiveProcess> FindFaultServices(const HostView& host, std::string_view fault_uid,
                                           std::string_view home = "");
// SIGTERM, then SIGKILL after `patience_ms`; waits until they are gone.
Result<void> EndFaultServices(const HostView& host, std::string_view fault_uid,
                              int64_t patience_ms = 300);

// nullopt: it does not run.
struct CountsRead {
  uint64_t seen = 0, met = 0, done = 0, dropped = 0;
};
std::optional<CountsRead> ReadServiceCounts(const HostView& host, std::string_view fault_uid);

// What a service counts; in memory that Verify can read (ReadServiceCounts).
struct ServiceCounts {
  std::atomic<uint64_t> seen = 0;     // came by
  std::atomic<uint64_t> met = 0;      // were meant
  std::atomic<uint64_t> done = 0;     // were changed, answered, delayed …
  std::atomic<uint64_t> dropped = 0;  // found no room
  std::atomic<int64_t> active = 0;    // are being served now
};

// What a service gets: its plan, and how to say that the fault is in force. It serves until SIGTERM
// (`stop_fd` becomes readable) and cleans up only what the kernel would not.
struct ServiceCall {
  const FaultPlan& plan;
  const FaultHost& host;
  int stop_fd = -1;
  ServiceCounts* counts = nullptr;
  std::function<void()> ready;
};
using FaultServiceMethod = Result<void> (*)(const ServiceCall& call);

struct FaultServiceRow {
  std::string_view fault;  // begins with
  FaultServiceMethod serve;
};
// fault_services.cc
std::span<const FaultServiceRow> FaultServices();

// faultline-guardian --serve UID HOME FAULT LIFETIME_S HOST_ROOT; the plan comes on standard input.
int FaultServiceMain(int argc, char** argv);

}  // namespace faultline
