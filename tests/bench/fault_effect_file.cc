// Magnitudes of faults of files, disks and system calls: by a process that reads, by the file
// system's own count.
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "agent/faults/fault_service.h"
#include "agent/faults/stress_worker.h"
#include "tests/bench/fault_effect_cases.h"

namespace faultline {
namespace {

using Prepare = std::function<EffectProbe(FaultTrial&)>;

// A reader of the stage's file is the target; `judge` makes a number of what it saw of `reads`.
Prepare Reads(uint64_t reads, std::function<double(const FileReader::Rates&)> judge) {
  return [=](FaultTrial& trial) -> EffectProbe {
    const auto reader = std::make_shared<FileReader>(trial.view, trial.stage.file());
    trial.target = reader->target();
    const auto before = reader->During(50);
    if (!before) return nullptr;
    return [=] {
      (void)reader->During(5);  // those under way when we came
      auto rates = reader->During(reads);
      if (!rates) return 0.0;
      rates->mean_ms -= before->mean_ms;
      return judge(*rates);
    };
  };
}
double FailedPercent(const FileReader::Rates& rates) { return rates.failures; }
double WrongPercent(const FileReader::Rates& rates) { return rates.wrong; }
double ModePercent(const FileReader::Rates& rates) { return rates.other_mode; }
double LatePercent(const FileReader::Rates& rates) { return rates.late; }
double LaterMs(const FileReader::Rates& rates) { return rates.mean_ms; }

// How many reads fail, or are late, in all.
Prepare Times(std::atomic<uint64_t> FileSeen::*count) {
  return [=](FaultTrial& trial) -> EffectProbe {
    const auto reader = std::make_shared<FileReader>(trial.view, trial.stage.file());
    trial.target = reader->target();
    const uint64_t before = reader->seen->*count;
    return [=] {
      (void)reader->During(300);
      return static_cast<double>(reader->seen->*count - before);
    };
  };
}

// What the process sees of a read of ten bytes that are zeroed.
struct Zeroed {
  std::atomic<uint64_t> most = 0;
};
EffectProbe ZeroedBytes(FaultTrial& trial) {
  const std::string path = trial.stage.file();
  const auto child =
      std::make_shared<SharedChild<Zeroed>>(trial.view, nullptr, [path](Zeroed& seen) {
        const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        char buffer[64] = {};
        const ssize_t n = read(fd, buffer, sizeof buffer);
        close(fd);
        const auto zeros =
            static_cast<uint64_t>(std::count(buffer, buffer + std::max<ssize_t>(n, 0), '\0'));
        seen.most = std::max<uint64_t>(seen.most, zeros);
        usleep(500);
      });
  trial.target = child->target();
  return [child] {
    sleep(1);
    return static_cast<double>(child->seen->most);
  };
}

// A file system of 64 MiB of the trial's own.
class OwnDisk {
 public:
  explicit OwnDisk(const FaultTrial& trial) : folder_(trial.stage.folder() + "/disk") {
    mkdir(folder_.c_str(), 0755);
    made = mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=64m") == 0;
  }
  ~OwnDisk() { umount2(folder_.c_str(), MNT_DETACH); }
  OwnDisk(const OwnDisk&) = delete;
  OwnDisk& operator=(const OwnDisk&) = delete;
  double used() const {
    struct statvfs status {};
    statvfs(folder_.c_str(), &status);
    return static_cast<double>((status.f_blocks - status.f_bavail) * status.f_frsize);
  }
  bool made = false;

 private:
  std::string folder_;
};

Prepare UsedBytes(double scale) {
  return [scale](FaultTrial& trial) -> EffectProbe {
    const auto disk = std::make_shared<OwnDisk>(trial);
    if (!disk->made) return nullptr;
    const double before = disk->used();
    return [disk, before, scale] { return (disk->used() - before) / scale; };
  };
}

// The largest file that our processes of this fault have open; how many of them there are.
double LargestOpenFile(FaultTrial& trial) {
  double largest = 0;
  for (const LiveProcess& worker : FindWorkers(trial.view, trial.uid())) {
    for (int fd = 3; fd < 32; ++fd) {
      struct stat status {};
      if (stat(fmt::format("/proc/{}/fd/{}", worker.pid, fd).c_str(), &status) == 0 &&
          S_ISREG(status.st_mode))
        largest = std::max(largest, static_cast<double>(status.st_size));
    }
  }
  return largest;
}

EffectProbe IoStressSize(FaultTrial& trial) {
  return [&trial] {
    double largest = 0;
    for (int i = 0; i < 100; ++i) {
      largest = std::max(largest, LargestOpenFile(trial));
      usleep(5000);
    }
    return largest;
  };
}

EffectProbe WrittenFileBytes(FaultTrial& trial) {
  return [&trial] {
    double bytes = 0;
    for (const std::string& name :
         trial.view.fs.List(trial.stage.folder()).value_or(std::vector<std::string>())) {
      struct stat status {};
      if (name.ends_with(".fill") &&
          stat((trial.stage.folder() + "/" + name).c_str(), &status) == 0)
        bytes = static_cast<double>(status.st_size);
    }
    return bytes;
  };
}

EffectProbe LoadThreads(FaultTrial& trial) {
  return [&trial] {
    double threads = 0;
    for (const LiveProcess& service : FindFaultServices(trial.view, trial.uid())) {
      const auto tasks = trial.view.fs.List(fmt::format("/proc/{}/task", service.pid));
      threads += tasks ? static_cast<double>(tasks->size()) - 1 : 0;
    }
    return threads;
  };
}

EffectProbe AppendedLines(FaultTrial& trial) {
  return [&trial] {
    const std::string text = trial.view.fs.Read(trial.stage.file()).value_or("");
    double lines = 0;
    for (size_t at = 0; (at = text.find("more\n", at)) != std::string::npos; ++at) ++lines;
    return lines;
  };
}

}  // namespace

std::vector<EffectCase> FileEffectCases() {
  const std::string below = "volumePath={folder} path={folder}/**/* ";
  return {
      {"io_latency", below + "methods=read delay=20ms", "ms more", 20, Reads(60, LaterMs)},
      {"io_latency", below + "methods=read delay=20ms percent=20", "late, %", 20,
       Reads(3000, LatePercent)},
      {"io_fault", below + "methods=read errno=5 percent=20", "fail, %", 20,
       Reads(6000, FailedPercent)},
      {"io_attr_override", below + "attr={\"perm\":72} percent=20", "other mode, %", 20,
       Reads(6000, ModePercent)},
      {"io_mistake",
       below + "methods=read percent=20 "
               "mistake={\"filling\":\"zero\",\"maxOccurrences\":1,\"maxLength\":3}",
       "wrong, %", 20, Reads(6000, WrongPercent)},
      {"io_mistake",
       below + "methods=read mistake={\"filling\":\"zero\",\"maxOccurrences\":1,\"maxLength\":4}",
       "most bytes wrong", 4, ZeroedBytes},
      {"syscall_delay", "syscalls=read delay=20ms", "ms more", 20, Reads(60, LaterMs)},
      {"syscall_delay", "syscalls=read delay=20ms probability=20", "late, %", 20,
       Reads(3000, LatePercent)},
      {"syscall_delay", "syscalls=read delay=20ms times=7", "late in all", 7,
       Times(&FileSeen::late), true},
      {"syscall_errno", "syscalls=read errno=EIO probability=20", "fail, %", 20,
       Reads(6000, FailedPercent)},
      {"syscall_errno", "syscalls=read errno=EIO times=7", "fail in all", 7,
       Times(&FileSeen::failures), true},
      {"disk_fill", "path={folder}/disk size=20MiB", "bytes", 20.0 * (1 << 20), UsedBytes(1)},
      {"disk_fill", "path={folder}/disk percent=40", "used, %", 40, UsedBytes((64 << 20) / 100.0)},
      {"disk_write", "path={folder} size=8MiB", "bytes of the file", 8.0 * (1 << 20),
       WrittenFileBytes},
      {"disk_write", "path={folder} size=8MiB payload-process-num=3", "writers", 3, LoadThreads},
      {"disk_read", "path={file} size=4KiB payload-process-num=3", "readers", 3, LoadThreads},
      {"io_stress", "workers=1 path={folder} size=3MiB", "bytes of the file", 3.0 * (1 << 20),
       IoStressSize},
      {"file_append", "file-name={file} data=more count=50", "lines", 50, AppendedLines},
  };
}

}  // namespace faultline
