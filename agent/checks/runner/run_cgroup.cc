#include "agent/checks/runner/run_cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <utility>

#include "common/clock.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxProcesses = 4096;

// Small files of cgroupfs; empty when they cannot be read.
std::string ReadSmall(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::string text(64 << 10, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = read(fd, text.data() + size, text.size() - size);
    if (got <= 0) break;
    size += static_cast<size_t>(got);
  }
  close(fd);
  text.resize(size);
  return text;
}

bool WriteSmall(const std::string& path, std::string_view text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool good = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return good;
}

// Folders below, the deepest first.
std::vector<std::string> FoldersBelow(const std::string& folder) {
  std::vector<std::string> folders;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    if (at->is_directory(error)) folders.insert(folders.begin(), at->path().string());
  }
  return folders;
}

void AppendProcesses(const std::string& folder, std::vector<int>& pids) {
  const std::string text = ReadSmall(folder + "/cgroup.procs");
  std::string_view rest = text;
  std::string_view line;
  while (NextLine(rest, line) && pids.size() < kMaxProcesses) {
    if (const auto pid = ParseInt(line); pid && *pid > 0) pids.push_back(static_cast<int>(*pid));
  }
}

int64_t Field(const std::string& text, std::string_view key) {
  std::string_view rest = text;
  std::string_view line;
  while (NextLine(rest, line)) {
    if (NextWord(line) == key) return ParseInt(NextWord(line)).value_or(-1);
  }
  return -1;
}

}  // namespace

Result<RunCgroup> RunCgroup::Make(std::string path) {
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return FailErrno(errno, "make {}", path);
  RunCgroup cgroup;
  cgroup.fd_ = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (cgroup.fd_ < 0) return FailErrno(errno, "open {}", path);
  cgroup.path_ = std::move(path);
  return cgroup;
}

RunCgroup::RunCgroup(RunCgroup&& other) noexcept
    : path_(std::exchange(other.path_, "")), fd_(std::exchange(other.fd_, -1)) {}

RunCgroup& RunCgroup::operator=(RunCgroup&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  return *this;
}

RunCgroup::~RunCgroup() {
  if (fd_ >= 0) close(fd_);
}

void RunCgroup::Kill() const {
  if (path_.empty() || WriteSmall(path_ + "/cgroup.kill", "1")) return;
  // Before Linux 5.14. What forks faster than we kill is stopped first.
  (void)WriteSmall(path_ + "/cgroup.freeze", "1");
  for (int round = 0; round < 8; ++round) {
    const std::vector<int> pids = Processes();
    for (const int pid : pids) kill(pid, SIGKILL);
    if (pids.empty()) break;
  }
  (void)WriteSmall(path_ + "/cgroup.freeze", "0");
}

bool RunCgroup::Empty() const {
  return path_.empty() || Field(ReadSmall(path_ + "/cgroup.events"), "populated") != 1;
}

std::vector<int> RunCgroup::Processes() const {
  std::vector<int> pids;
  if (path_.empty()) return pids;
  AppendProcesses(path_, pids);
  for (const std::string& folder : FoldersBelow(path_)) AppendProcesses(folder, pids);
  return pids;
}

int64_t RunCgroup::CpuNs() const {
  if (path_.empty()) return 0;
  return std::max<int64_t>(Field(ReadSmall(path_ + "/cpu.stat"), "usage_usec"), 0) * 1000;
}

bool RunCgroup::Remove() {
  if (path_.empty()) return true;
  if (rmdir(path_.c_str()) != 0 && errno != ENOENT) {
    for (const std::string& folder : FoldersBelow(path_)) rmdir(folder.c_str());
    if (rmdir(path_.c_str()) != 0 && errno != ENOENT) return false;
  }
  path_.clear();
  return true;
}

void SweepCgroups(const std::string& folder) {
  if (folder.empty() || access(folder.c_str(), F_OK) != 0) return;
  auto cgroup = RunCgroup::Make(folder);
  if (!cgroup) return;
  cgroup->Kill();
  for (int round = 0; round < 50 && !cgroup->Empty(); ++round) usleep(2000);
  (void)cgroup->Remove();
}

}  // namespace faultline
