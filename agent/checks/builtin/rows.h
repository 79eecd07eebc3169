// The makers behind the rows of check_catalogue.cc, one file each.
#pragma once

#include <memory>

#include "agent/checks/builtin/check.h"

namespace faultline {

std::unique_ptr<Check> MakeArpTable(CheckParameters& parameters);
std::unique_ptr<Check> MakeCertificates(CheckParameters& parameters);
std::unique_ptr<Check> MakeCgroupCount(CheckParameters& parameters);
std::unique_ptr<Check> MakeClockSource(CheckParameters& parameters);
std::unique_ptr<Check> MakeClockSync(CheckParameters& parameters);
std::unique_ptr<Check> MakeConntrack(CheckParameters& parameters);
std::unique_ptr<Check> MakeContainerRuntime(CheckParameters& parameters);
std::unique_ptr<Check> MakeCpuFrequency(CheckParameters& parameters);
std::unique_ptr<Check> MakeCpuGovernor(CheckParameters& parameters);
std::unique_ptr<Check> MakeCpuLoad(CheckParameters& parameters);
std::unique_ptr<Check> MakeCpuOnline(CheckParameters& parameters);
std::unique_ptr<Check> MakeCpuSteal(CheckParameters& parameters);
std::unique_ptr<Check> MakeCpuTemperature(CheckParameters& parameters);
std::unique_ptr<Check> MakeCpuThrottle(CheckParameters& parameters);
std::unique_ptr<Check> MakeDiskErrors(CheckParameters& parameters);
std::unique_ptr<Check> MakeDiskInodes(CheckParameters& parameters);
std::unique_ptr<Check> MakeDiskLatency(CheckParameters& parameters);
std::unique_ptr<Check> MakeDiskReadonly(CheckParameters& parameters);
std::unique_ptr<Check> MakeDiskSmart(CheckParameters& parameters);
std::unique_ptr<Check> MakeDiskSpace(CheckParameters& parameters);
std::unique_ptr<Check> MakeDns(CheckParameters& parameters);
std::unique_ptr<Check> MakeFdProcesses(CheckParameters& parameters);
std::unique_ptr<Check> MakeFdUsage(CheckParameters& parameters);
std::unique_ptr<Check> MakeFsErrors(CheckParameters& parameters);
std::unique_ptr<Check> MakeGateway(CheckParameters& parameters);
std::unique_ptr<Check> MakeGpfs(CheckParameters& parameters);
std::unique_ptr<Check> MakeGpuClocks(CheckParameters& parameters);
std::unique_ptr<Check> MakeGpuCount(CheckParameters& parameters);
std::unique_ptr<Check> MakeGpuDriver(CheckParameters& parameters);
std::unique_ptr<Check> MakeGpuEcc(CheckParameters& parameters);
std::unique_ptr<Check> MakeGpuHang(CheckParameters& parameters);
std::unique_ptr<Check> MakeGpuNvlink(CheckParameters& parameters);
std::unique_ptr<Check> MakeGpuPcie(CheckParameters& parameters);
std::unique_ptr<Check> MakeGpuPerformance(CheckParameters& parameters);
std::unique_ptr<Check> MakeGpuPersistence(CheckParameters& parameters);
std::unique_ptr<Check> MakeGpuPower(CheckParameters& parameters);
std::unique_ptr<Check> MakeGpuRemappedRows(CheckParameters& parameters);
std::unique_ptr<Check> MakeGpuTemperature(CheckParameters& parameters);
std::unique_ptr<Check> MakeGpuThrottle(CheckParameters& parameters);
std::unique_ptr<Check> MakeHungTasks(CheckParameters& parameters);
std::unique_ptr<Check> MakeIbCounters(CheckParameters& parameters);
std::unique_ptr<Check> MakeIbDevices(CheckParameters& parameters);
std::unique_ptr<Check> MakeIbRate(CheckParameters& parameters);
std::unique_ptr<Check> MakeIbState(CheckParameters& parameters);
std::unique_ptr<Check> MakeIommu(CheckParameters& parameters);
std::unique_ptr<Check> MakeKernelTaint(CheckParameters& parameters);
std::unique_ptr<Check> MakeKubeProxy(CheckParameters& parameters);
std::unique_ptr<Check> MakeKubelet(CheckParameters& parameters);
std::unique_ptr<Check> MakeMemoryAvailable(CheckParameters& parameters);
std::unique_ptr<Check> MakeMemoryCapacity(CheckParameters& parameters);
std::unique_ptr<Check> MakeMemoryDirty(CheckParameters& parameters);
std::unique_ptr<Check> MakeMemoryEccCorrected(CheckParameters& parameters);
std::unique_ptr<Check> MakeMemoryEccUncorrected(CheckParameters& parameters);
std::unique_ptr<Check> MakeMountHang(CheckParameters& parameters);
std::unique_ptr<Check> MakeMountMissing(CheckParameters& parameters);
std::unique_ptr<Check> MakeNetBond(CheckParameters& parameters);
std::unique_ptr<Check> MakeNetDrops(CheckParameters& parameters);
std::unique_ptr<Check> MakeNetErrors(CheckParameters& parameters);
std::unique_ptr<Check> MakeNetLink(CheckParameters& parameters);
std::unique_ptr<Check> MakeNetMtu(CheckParameters& parameters);
std::unique_ptr<Check> MakeNetSpeed(CheckParameters& parameters);
std::unique_ptr<Check> MakeNodeLatency(CheckParameters& parameters);
std::unique_ptr<Check> MakeNumaBalance(CheckParameters& parameters);
std::unique_ptr<Check> MakeNvidiaFabric(CheckParameters& parameters);
std::unique_ptr<Check> MakeNvidiaModules(CheckParameters& parameters);
std::unique_ptr<Check> MakeNvmeHealth(CheckParameters& parameters);
std::unique_ptr<Check> MakeOomKills(CheckParameters& parameters);
std::unique_ptr<Check> MakePcieLink(CheckParameters& parameters);
std::unique_ptr<Check> MakePidUsage(CheckParameters& parameters);
std::unique_ptr<Check> MakePsiCpu(CheckParameters& parameters);
std::unique_ptr<Check> MakePsiIo(CheckParameters& parameters);
std::unique_ptr<Check> MakePsiMemory(CheckParameters& parameters);
std::unique_ptr<Check> MakeRaidDegraded(CheckParameters& parameters);
std::unique_ptr<Check> MakeReboot(CheckParameters& parameters);
std::unique_ptr<Check> MakeSwapUsage(CheckParameters& parameters);
std::unique_ptr<Check> MakeSysctlDrift(CheckParameters& parameters);
std::unique_ptr<Check> MakeSystemdUnits(CheckParameters& parameters);
std::unique_ptr<Check> MakeTcpListenDrops(CheckParameters& parameters);
std::unique_ptr<Check> MakeTcpPorts(CheckParameters& parameters);
std::unique_ptr<Check> MakeTcpRetransmits(CheckParameters& parameters);
std::unique_ptr<Check> MakeUlimits(CheckParameters& parameters);
std::unique_ptr<Check> MakeZombies(CheckParameters& parameters);

}  // namespace faultline
