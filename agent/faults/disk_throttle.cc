// disk_throttle: the target's cgroup may move so many bytes, or do so many operations, per second
// on the disk that holds `path`: blkio.throttle.* (v1) or io.max (v2). Several on one disk add up
// to the newest, and what was set before comes back. Verify lets a process of ours read and write
// past the page cache, in the target's cgroup, and takes its time.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>

#include "agent/faults/claims.h"
#include "agent/faults/disk_probe.h"
#include "agent/faults/target_files.h"
#include "agent/faults/victims.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr std::string_view kControl = "control:";

struct Limit {
  const char* parameter;
  const char* v1_file;
  const char* v2_key;
  bool writes;
  bool operations;
};
constexpr Limit kLimits[] = {
    {"readBps", "blkio.throttle.read_bps_device", "rbps", false, false},
    {"writeBps", "blkio.throttle.write_bps_device", "wbps", true, false},
    {"readIops", "blkio.throttle.read_iops_device", "riops", false, true},
    {"writeIops", "blkio.throttle.write_iops_device", "wiops", true, true},
};

uint64_t AskedOf(const FaultSpec& spec, const Limit& limit) {
  return limit.operations ? static_cast<uint64_t>(spec.Integer(limit.parameter))
                          : spec.Bytes(limit.parameter);
}

// "254:0": limits are those of whole disks.
Result<std::string> DiskOf(const FileDescriptor& folder, const HostView& host) {
  struct stat status {};
  if (fstat(folder.get(), &status) != 0) return FailErrno(errno, "look at the folder");
  const std::string number = fmt::format("{}:{}", major(status.st_dev), minor(status.st_dev));
  const std::string link = "/sys/dev/block/" + number;
  if (!host.fs.Exists(link + "/dev"))
    return Fail(ErrorCode::kUnsupported, "unsupported: parameters.path is on no disk (device {})",
                number);
  if (!host.fs.Exists(link + "/partition")) return number;
  return host.fs.ReadTrimmed(link + "/../dev");
}

// The line of `disk` in the file's text; empty when there is none.
std::string LineOf(std::string_view text, const std::string& disk) {
  std::string_view line;
  while (NextLine(text, line)) {
    if (line.starts_with(disk + " ")) return std::string(line);
  }
  return "";
}

class DiskThrottle final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FaultPlan plan;
    plan.spec = spec;
    FAULTLINE_ASSIGN(const CgroupFolder folder, TargetFolder(spec.target, "blkio", host, plan));
    FAULTLINE_TRY(RememberFileTarget(spec.target, host, plan));
    FAULTLINE_TRY(CheckFaultPath("path", spec.Text("path"), host));
    FAULTLINE_ASSIGN(const FileDescriptor place, OpenFolder(plan, host));
    FAULTLINE_ASSIGN(const std::string disk, DiskOf(place, *host.host));
    plan.state["folder"] = folder.path;
    plan.state["disk"] = disk;
    const bool v1 = !folder.controller.empty();
    plan.state["reset"] = v1 ? disk + " 0" : disk + " rbps=max wbps=max riops=max wiops=max";
    for (const Limit& limit : kLimits) {
      if (!spec.Has(limit.parameter)) continue;
      const std::string claim =
          fmt::format("{}{}/{}", kControl, folder.path, v1 ? limit.v1_file : "io.max");
      if (!host.host->fs.Exists(claim.substr(kControl.size())))
        return Fail(ErrorCode::kUnsupported, "unsupported: {} is not there",
                    claim.substr(kControl.size()));
      const uint64_t asked = AskedOf(spec, limit);
      if (limit.operations && asked < 100 && asked % 10 != 0)
        return Fail(ErrorCode::kInvalidArgument,
                    "parameters.{}: the kernel counts by the tenth of a second: below 100 only 10, "
                    "20 … are kept",
                    limit.parameter);
      plan.claims[claim] = "";
      std::string& line = plan.state[claim];
      if (line.empty()) line = disk;
      line += v1 ? fmt::format(" {}", asked) : fmt::format(" {}={}", limit.v2_key, asked);
      plan.victims.back() += fmt::format(", disk {}: {}={}", disk, limit.parameter, asked);
    }
    if (plan.claims.empty())
      return Fail(ErrorCode::kInvalidArgument,
                  "parameters.writeBps: one of readBps, writeBps, readIops, writeIops is needed");
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    for (const auto& [claim, before] : plan.claims)
      FAULTLINE_TRY(Write(claim, plan.State(claim), host));
    return {};
  }

  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    FAULTLINE_ASSIGN(const FileDescriptor place, OpenFolder(plan, host));
    v1::Effect effect;
    bool all = true;
    std::string seen;
    for (const Limit& limit : kLimits) {
      if (!plan.spec.Has(limit.parameter)) continue;
      const auto asked = static_cast<double>(AskedOf(plan.spec, limit));
      DiskProbe probe;
      probe.writes = limit.writes;
      probe.block_bytes = limit.operations ? 4096 : ProbeBlock(asked);
      FAULTLINE_ASSIGN(const double blocks_per_s,
                       ProbeDisk(probe, place, plan.State("folder"), *host.host));
      const double rate =
          limit.operations ? blocks_per_s : blocks_per_s * static_cast<double>(probe.block_bytes);
      const auto before = plan.before.find(limit.parameter);
      AddMeasurement(effect, plan, limit.parameter, rate, asked);
      // A disk that was no faster before is none of ours.
      all = all && rate <= 1.2 * asked && before != plan.before.end() && before->second > asked;
      seen += fmt::format("{}{}: {:.0f} per second of {:.0f} allowed", seen.empty() ? "" : ", ",
                          limit.parameter, rate, asked);
    }
    effect.set_verdict(all ? v1::VERDICT_TRUE : v1::VERDICT_FALSE);
    effect.set_reason(seen);
    return effect;
  }

  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override {
    Result<void> all;
    for (const auto& [claim, before] : plan.claims) {
      FAULTLINE_ASSIGN(const std::string now, ReadClaim(claim, host));
      if (now == kAbsent) continue;
      const std::string disk = plan.State("disk");
      std::vector<std::string> lines = {plan.State("reset"), LineOf(before, disk)};
      for (const FaultPlan* other : host.OthersWith(claim)) {
        if (other->State("disk") == disk) lines.push_back(other->State(claim));
      }
      // Nothing of ours is there, and nobody else wants anything.
      if (LineOf(now, disk) == lines[1] && lines.size() == 2) continue;
      for (const std::string& line : lines) {
        if (line.empty()) continue;
        if (auto written = Write(claim, line, host); !written) all = std::move(written);
      }
    }
    return all;
  }

  std::vector<std::string> Residue(const FaultPlan&, const FaultHost&) override { return {}; }

 private:
  static Result<FileDescriptor> OpenFolder(const FaultPlan& plan, const FaultHost& host) {
    FAULTLINE_ASSIGN(const FileDescriptor root, OpenTargetRoot(plan, host));
    return OpenBelow(root, plan.spec.Text("path"), O_RDONLY | O_DIRECTORY);
  }
  static Result<void> Write(const std::string& claim, const std::string& line,
                            const FaultHost& host) {
    return WriteControl(*host.host, claim.substr(kControl.size()), line);
  }
  // Some twenty in a second.
  static size_t ProbeBlock(double bytes_per_s) {
    const auto block = static_cast<size_t>(bytes_per_s / 20) / 4096 * 4096;
    return std::clamp<size_t>(block, 4096, size_t{1} << 20);
  }
};

constexpr ParameterRow Bytes(std::string_view name, std::string_view doc) {
  return {.name = name, .kind = ParameterKind::kBytes, .doc = doc, .min = 4096, .max = 1e12};
}
constexpr ParameterRow Operations(std::string_view name, std::string_view doc) {
  return {.name = name, .kind = ParameterKind::kInteger, .doc = doc, .min = 10, .max = 1e9};
}
constexpr ParameterRow kParameters[] = {
    {.name = "path", .doc = "a folder on the disk", .required = true},
    Bytes("readBps", "bytes per second that can be read"),
    Bytes("writeBps", "bytes per second that can be written"),
    Operations("readIops", "reads per second"),
    Operations("writeIops", "writes per second"),
};

}  // namespace

extern const FaultRow kDiskThrottle = {
    .name = "disk_throttle",
    .doc = "Lets the target's cgroup use a disk at so many bytes or operations per second.",
    .parameters = kParameters,
    .make = [] { return std::unique_ptr<Fault>(new DiskThrottle); },
    .example = "path={folder} writeBps=1MiB",
};

}  // namespace faultline
