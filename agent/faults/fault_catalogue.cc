// What this agent can inject. One row per fault; the folder's README says how to add one.
#include "agent/faults/fault.h"

namespace faultline {

extern const FaultRow kClockOffset;
extern const FaultRow kContainerKill;
extern const FaultRow kContainerPause;
extern const FaultRow kCpuQuota;
extern const FaultRow kCpuStress;
extern const FaultRow kDiskFill;
extern const FaultRow kDiskRead;
extern const FaultRow kDiskThrottle;
extern const FaultRow kDiskWrite;
extern const FaultRow kDnsAnswer;
extern const FaultRow kDnsError;
extern const FaultRow kDnsRandom;
extern const FaultRow kFdLimit;
extern const FaultRow kFileAppend;
extern const FaultRow kFileCreate;
extern const FaultRow kFileDelete;
extern const FaultRow kFileModify;
extern const FaultRow kFileRename;
extern const FaultRow kFileReplace;
extern const FaultRow kHostReboot;
extern const FaultRow kHostShutdown;
extern const FaultRow kHttpAbort;
extern const FaultRow kHttpDelay;
extern const FaultRow kHttpPatch;
extern const FaultRow kHttpReplace;
extern const FaultRow kIoAttrOverride;
extern const FaultRow kIoFault;
extern const FaultRow kIoLatency;
extern const FaultRow kIoMistake;
extern const FaultRow kIoStress;
extern const FaultRow kKmsgMessage;
extern const FaultRow kMemoryLimit;
extern const FaultRow kMemoryStress;
extern const FaultRow kNetworkBandwidth;
extern const FaultRow kNetworkCorrupt;
extern const FaultRow kNetworkDelay;
extern const FaultRow kNetworkDown;
extern const FaultRow kNetworkDuplicate;
extern const FaultRow kNetworkFlood;
extern const FaultRow kNetworkLoss;
extern const FaultRow kNetworkNetem;
extern const FaultRow kNetworkPartition;
extern const FaultRow kNetworkPortOccupied;
extern const FaultRow kNetworkRate;
extern const FaultRow kPidLimit;
extern const FaultRow kPodFailure;
extern const FaultRow kPodKill;
extern const FaultRow kProcessKill;
extern const FaultRow kProcessStop;
extern const FaultRow kSyscallDelay;
extern const FaultRow kSyscallErrno;
extern const FaultRow kTask;
extern const FaultRow kUserDefined;

std::span<const FaultRow> FaultCatalogue() {
  // clang-format off
  static const FaultRow kRows[] = {
      kClockOffset,
      kContainerKill,
      kContainerPause,
      kCpuQuota,
      kCpuStress,
      kDiskFill,
      kDiskRead,
      kDiskThrottle,
      kDiskWrite,
      kDnsAnswer,
      kDnsError,
      kDnsRandom,
      kFdLimit,
      kFileAppend,
      kFileCreate,
      kFileDelete,
      kFileModify,
      kFileRename,
      kFileReplace,
      kHostReboot,
      kHostShutdown,
      kHttpAbort,
      kHttpDelay,
      kHttpPatch,
      kHttpReplace,
      kIoAttrOverride,
      kIoFault,
      kIoLatency,
      kIoMistake,
      kIoStress,
      kKmsgMessage,
      kMemoryLimit,
      kMemoryStress,
      kNetworkBandwidth,
      kNetworkCorrupt,
      kNetworkDelay,
      kNetworkDown,
      kNetworkDuplicate,
      kNetworkFlood,
      kNetworkLoss,
      kNetworkNetem,
      kNetworkPartition,
      kNetworkPortOccupied,
      kNetworkRate,
      kPidLimit,
      kPodFailure,
      kPodKill,
      kProcessKill,
      kProcessStop,
      kSyscallDelay,
      kSyscallErrno,
      kTask,
      kUserDefined,
  };
  // clang-format on
  return kRows;
}

}  // namespace faultline
