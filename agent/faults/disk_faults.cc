// A disk that is full, and a disk that others keep busy. Filling takes one file of ours on the
// target's file system, allocated (not written) where the file system can; a disk that was full
// before gets nothing from us, and Verify says so. On the file system that holds the agent's own
// journal some room is left: what must be undone has to be written down.
#include <fcntl.h>
#include <poll.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "agent/faults/fault_service.h"
#include "agent/faults/fault_tag.h"
#include "agent/faults/target_files.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr uint64_t kLeftForJournal = uint64_t{256} << 20;
constexpr size_t kBlockBytes = size_t{1} << 20;
constexpr auto kWindow = std::chrono::milliseconds(1000);

struct Space {
  double total = 0;
  double free = 0;  // for everybody but root's reserve
};

Result<Space> ReadSpace(const FileDescriptor& folder) {
  struct statvfs status{};
  if (fstatvfs(folder.get(), &status) != 0) return FailErrno(errno, "read the free space");
  return Space{static_cast<double>(status.f_blocks) * static_cast<double>(status.f_frsize),
               static_cast<double>(status.f_bavail) * static_cast<double>(status.f_frsize)};
}

bool HoldsJournal(const FileDescriptor& folder, const FaultHost& host) {
  struct stat here{};
  struct stat journal{};
  return !host.journal_folder.empty() && fstat(folder.get(), &here) == 0 &&
         stat(host.journal_folder.c_str(), &journal) == 0 && here.st_dev == journal.st_dev;
}

// `path` is a folder (a file of ours goes into it) or a file that does not exist yet.
Result<FilePlace> ChoosePlace(const FileDescriptor& root, const FaultPlan& plan) {
  const std::string path = plan.spec.Text("path");
  if (OpenBelow(root, path, O_PATH | O_DIRECTORY))
    return OpenPlace(root, path + "/." + plan.State("tag") + ".fill");
  return OpenPlace(root, path);
}

Result<FilePlace> PlannedPlace(const FaultPlan& plan, const FaultHost& host) {
  FAULTLINE_ASSIGN(const FileDescriptor root, OpenTargetRoot(plan, host));
  FAULTLINE_ASSIGN(FilePlace place, OpenPlace(root, plan.State("file")));
  return place;
}

Result<void> PlanFile(FaultPlan& plan, const FaultHost& host, std::string& whom, Space& space,
                      bool& holds_journal) {
  FAULTLINE_ASSIGN(whom, RememberFileTarget(plan.spec.target, host, plan));
  const std::string path = plan.spec.Text("path");
  FAULTLINE_TRY(CheckFaultPath("path", path, host));
  plan.state["tag"] = FaultTag(host.journal_folder, plan.spec.uid);
  FAULTLINE_ASSIGN(const FileDescriptor root, OpenTargetRoot(plan, host));
  FAULTLINE_ASSIGN(const FilePlace place, ChoosePlace(root, plan));
  if (StatPlace(place)) return Fail(ErrorCode::kConflict, "parameters.path: {} exists", path);
  const bool in_folder = path.substr(path.rfind('/') + 1) != place.name;
  plan.state["file"] = in_folder ? path + "/" + place.name : path;
  FAULTLINE_ASSIGN(space, ReadSpace(place.folder));
  holds_journal = HoldsJournal(place.folder, host);
  return {};
}

Result<void> RemovePlanned(const FaultPlan& plan, const FaultHost& host) {
  const auto place = PlannedPlace(plan, host);
  if (!place) {
    if (place.error().code == ErrorCode::kNotFound) return {};
    return std::unexpected(place.error());
  }
  if (unlinkat(place->folder.get(), place->name.c_str(), 0) != 0 && errno != ENOENT)
    return FailErrno(errno, "remove {}", plan.State("file"));
  return {};
}

std::vector<std::string> LeftFile(const FaultPlan& plan, const FaultHost& host) {
  const auto place = PlannedPlace(plan, host);
  if (!place || !StatPlace(*place)) return {};
  return {"file " + plan.State("file")};
}

class DiskFill final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    if (spec.Has("size") == spec.Has("percent"))
      return Fail(ErrorCode::kInvalidArgument,
                  "parameters.{}: size or percent is needed, and not both",
                  spec.Has("size") ? "percent" : "size");
    FaultPlan plan;
    plan.spec = spec;
    std::string whom;
    Space space;
    bool holds_journal = false;
    FAULTLINE_TRY(PlanFile(plan, host, whom, space, holds_journal));
    ParsedSize size = spec.Size("size");
    if (spec.Has("percent")) size.percent = spec.Number("percent");
    const double asked =
        size.percent ? space.total * *size.percent / 100 : static_cast<double>(size.bytes);
    const double keep = holds_journal ? static_cast<double>(kLeftForJournal) : 0;
    const double bytes = std::min(asked, std::max(space.free - keep, 0.0));
    plan.state["asked"] = fmt::format("{:.0f}", asked);
    plan.state["bytes"] = fmt::format("{:.0f}", bytes);
    plan.state["total"] = fmt::format("{:.0f}", space.total);
    plan.victims.push_back(fmt::format("{}: {:.0f} of {:.0f} bytes of the file system of {}", whom,
                                       bytes, space.total, plan.State("file")));
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    FAULTLINE_ASSIGN(const FilePlace place, PlannedPlace(plan, host));
    const FileDescriptor file(openat(place.folder.get(), place.name.c_str(),
                                     O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return FailErrno(errno, "make {}", plan.State("file"));
    auto left = static_cast<off_t>(ParseUint(plan.State("bytes")).value_or(0));
    off_t at = 0;
    // What became scarce meanwhile is taken in smaller and smaller pieces: full is full.
    for (off_t piece = left; left > 0 && piece >= 4096 && plan.spec.Flag("fill-by-fallocate");) {
      if (fallocate(file.get(), 0, at, std::min(piece, left)) == 0) {
        at += std::min(piece, left);
        left -= std::min(piece, left);
      } else if (errno == ENOSPC) {
        piece /= 2;
        if (piece < 4096) return {};
      } else {
        break;  // this file system does not allocate ahead
      }
    }
    const std::string block(kBlockBytes, '\0');
    while (left > 0) {
      const ssize_t n = pwrite(file.get(), block.data(),
                               std::min<size_t>(block.size(), static_cast<size_t>(left)), at);
      if (n < 0 && errno == ENOSPC) return {};
      if (n <= 0) return FailErrno(errno, "write {}", plan.State("file"));
      at += n;
      left -= n;
    }
    return {};
  }

  // By the file system's own count of blocks and of what is free.
  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    FAULTLINE_ASSIGN(const FilePlace place, PlannedPlace(plan, host));
    FAULTLINE_ASSIGN(const Space space, ReadSpace(place.folder));
    const double asked = ParseDouble(plan.State("asked")).value_or(0);
    v1::Effect effect;
    const double used = space.total > 0 ? 100 * (1 - space.free / space.total) : 100;
    const auto before = plan.before.find("free_bytes");
    const double free_before = before == plan.before.end() ? space.free : before->second;
    AddMeasurement(effect, plan, "free_bytes", space.free, std::max(free_before - asked, 0.0));
    AddMeasurement(effect, plan, "used_percent", used, 0);
    // The file's own blocks: on a file system that others write to, too, free space alone tells
    // little.
    const auto status = StatPlace(place);
    const bool is_there = status.has_value();
    const double taken = is_there ? static_cast<double>(status->st_blocks) * 512 : 0;
    AddMeasurement(effect, plan, "taken_bytes", taken, asked);
    const double scarce = std::max(space.total / 1000, 8.0 * 4096);
    const bool full = space.free <= scarce || free_before - asked < 0;
    v1::Verdict verdict = v1::VERDICT_FALSE;
    if (is_there && taken > 0 && taken >= 0.9 * std::min(asked, free_before)) {
      verdict = v1::VERDICT_TRUE;
    } else if (is_there && taken > 0.5 * std::min(asked, free_before)) {
      verdict = v1::VERDICT_INCONCLUSIVE;
    }
    if (free_before <= scarce) verdict = v1::VERDICT_FALSE;
    effect.set_verdict(verdict);
    effect.set_reason(free_before <= scarce
                          ? "the file system was full before"
                          : fmt::format("{:.0f} of {:.0f} bytes asked are gone, {:.1f} % used{}",
                                        taken, asked, used, full ? ", full" : ""));
    return effect;
  }

  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override {
    return RemovePlanned(plan, host);
  }
  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) override {
    return LeftFile(plan, host);
  }
};

// Reads or writes as fast as the disk lets it, past the page cache, in a process of its own.
class DiskLoad final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FaultPlan plan;
    plan.spec = spec;
    FAULTLINE_ASSIGN(const std::string whom, RememberFileTarget(spec.target, host, plan));
    if (host.worker_program.empty())
      return Fail(ErrorCode::kUnsupported, "no program of fault services is installed");
    if (spec.fault == "disk_write") {
      std::string again;
      Space space;
      bool holds_journal = false;
      FAULTLINE_TRY(PlanFile(plan, host, again, space, holds_journal));
      const double keep = holds_journal ? static_cast<double>(kLeftForJournal) : 0;
      if (static_cast<double>(spec.Bytes("size")) > space.free - keep)
        return Fail(ErrorCode::kResourceExhausted,
                    "parameters.size: only {:.0f} bytes are free there", space.free - keep);
    } else {
      const std::string path = spec.Text("path");
      if (!path.starts_with("/dev/")) FAULTLINE_TRY(CheckFaultPath("path", path, host));
      FAULTLINE_ASSIGN(const FileDescriptor root, OpenTargetRoot(plan, host));
      FAULTLINE_TRY(OpenBelow(root, path, O_RDONLY | O_NONBLOCK));
      plan.state["file"] = path;
    }
    plan.victims.push_back(fmt::format("{}: {} of {} by {} process(es)", whom, spec.fault,
                                       plan.State("file"), spec.Integer("payload-process-num")));
    return plan;
  }
  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    return StartFaultService(plan, host);
  }
  // By the kernel's account of what the service's threads moved to and from disks.
  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    const auto moved = [&] {
      double sum = 0;
      const std::string field = plan.spec.fault == "disk_write" ? "write_bytes: " : "read_bytes: ";
      for (const LiveProcess& service : FindFaultServices(*host.host, plan.spec.uid)) {
        const auto text = host.host->fs.Read(fmt::format("/proc/{}/io", service.pid));
        const size_t at = text ? text->find("\n" + field) : std::string::npos;
        if (at == std::string::npos) continue;
        const std::string_view rest = std::string_view(*text).substr(at + 1 + field.size());
        sum += ParseDouble(rest.substr(0, rest.find('\n'))).value_or(0);
      }
      return sum;
    };
    const double first = moved();
    std::this_thread::sleep_for(kWindow);
    const double rate = moved() - first;
    v1::Effect effect;
    AddMeasurement(effect, plan, "bytes_per_s", rate, 1);
    effect.set_verdict(rate > 0 ? v1::VERDICT_TRUE : v1::VERDICT_FALSE);
    effect.set_reason(fmt::format("{:.0f} bytes/s go to or come from the disk", rate));
    return effect;
  }
  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override {
    FAULTLINE_TRY(EndFaultServices(*host.host, plan.spec.uid));
    if (plan.spec.fault != "disk_write") return {};
    return RemovePlanned(plan, host);
  }
  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) override {
    std::vector<std::string> residue;
    if (plan.spec.fault == "disk_write") residue = LeftFile(plan, host);
    for (const LiveProcess& service : FindFaultServices(*host.host, plan.spec.uid))
      residue.push_back(fmt::format("service pid {}", service.pid));
    return residue;
  }
};

void Load(int fd, bool writes, off_t from, off_t bytes, int stop_fd) {
  void* block = nullptr;
  if (posix_memalign(&block, 4096, kBlockBytes) != 0) return;
  std::fill_n(static_cast<char*>(block), kBlockBytes, 'f');
  for (off_t at = 0;;) {
    pollfd stop{stop_fd, POLLIN, 0};
    if (poll(&stop, 1, 0) > 0) break;
    const size_t piece = std::min<size_t>(kBlockBytes, static_cast<size_t>(bytes - at));
    const ssize_t n =
        writes ? pwrite(fd, block, piece, from + at) : pread(fd, block, piece, from + at);
    at = n > 0 ? at + n : 0;
    if (at >= bytes) at = 0;
    if (n <= 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    // Read again from the disk, not from memory.
    if (!writes && at == 0) (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  }
  free(block);
}

std::unique_ptr<Fault> MakeFill() { return std::make_unique<DiskFill>(); }
std::unique_ptr<Fault> MakeLoad() { return std::make_unique<DiskLoad>(); }

constexpr ParameterRow kFillRows[] = {
    {.name = "path", .doc = "a folder, or a file that does not exist yet", .required = true},
    {.name = "size", .kind = ParameterKind::kSize, .doc = "bytes, or a share of the file system"},
    {.name = "percent", .kind = ParameterKind::kPercent, .doc = "share of the file system"},
    {.name = "fill-by-fallocate",
     .kind = ParameterKind::kBool,
     .fallback = "true",
     .doc = "allocate instead of writing, where it is possible"},
};
constexpr ParameterRow kLoadRows[] = {
    {.name = "path",
     .doc = "write: a folder or new file; read: a file or device",
     .required = true},
    {.name = "size",
     .kind = ParameterKind::kBytes,
     .doc = "bytes of each round",
     .required = true,
     .min = 4096,
     .max = 1e14},
    {.name = "payload-process-num",
     .kind = ParameterKind::kInteger,
     .fallback = "1",
     .doc = "how many at once",
     .min = 1,
     .max = 255},
};

}  // namespace

Result<void> ServeDiskLoad(const ServiceCall& call) {
  const bool writes = call.plan.spec.fault == "disk_write";
  FAULTLINE_ASSIGN(const FileDescriptor root, OpenTargetRoot(call.plan, call.host));
  const std::string path = call.plan.State("file");
  const int flags = writes ? O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW : O_RDONLY;
  auto file = OpenBelow(root, path, flags | O_DIRECT, 0600);
  if (!file) file = OpenBelow(root, path, writes ? O_RDWR | O_CREAT | O_DSYNC : O_RDONLY, 0600);
  if (!file) return std::unexpected(file.error());
  const auto many = static_cast<off_t>(call.plan.spec.Integer("payload-process-num"));
  const off_t share =
      std::max<off_t>(static_cast<off_t>(call.plan.spec.Bytes("size")) / many / 4096 * 4096, 4096);
  call.ready();
  std::vector<std::thread> threads;
  for (off_t i = 0; i < many; ++i)
    threads.emplace_back(Load, file->get(), writes, i * share, share, call.stop_fd);
  for (std::thread& thread : threads) thread.join();
  return {};
}

extern const FaultRow kDiskFill = {
    .name = "disk_fill",
    .doc = "Takes the free space of the target's file system.",
    .parameters = kFillRows,
    .make = MakeFill,
    .example = "path={folder} size=4MiB",
};
extern const FaultRow kDiskWrite = {
    .name = "disk_write",
    .doc = "Writes to the target's disk without a rest.",
    .parameters = kLoadRows,
    .make = MakeLoad,
    .example = "path={folder} size=4MiB",
};
extern const FaultRow kDiskRead = {
    .name = "disk_read",
    .doc = "Reads from the target's disk without a rest.",
    .parameters = kLoadRows,
    .make = MakeLoad,
    .example = "path={file} size=4KiB",
};

}  // namespace faultline
