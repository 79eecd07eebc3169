// Where log files are, and what their names say: the folders that the configuration leads to, and
// the role of a file name in such a folder. Names only; nothing is opened here.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/host_view.h"

namespace faultline::v1 {
class LogsConfig;
}

namespace faultline {

// In order of precedence: a file that two folders lead to belongs to the first.
enum class LogFolderKind : uint8_t { kPodContainer, kContainerLinks, kDocker, kFiles };

struct LogFolder {
  std::string path;  // as seen from the host root
  LogFolderKind kind = LogFolderKind::kFiles;
  std::vector<std::string> globs;  // kFiles: of file names
  // kPodContainer: who writes here. kContainerLinks has it in the file names.
  std::string name_space;
  std::string pod;
  std::string container;
};

// Whose lines a file carries.
struct LogFileRole {
  std::string name_space;
  std::string pod;
  std::string container;
  std::string job;
  std::string filename;     // of the live file, whatever rotation made of the name
  std::string_view parser;  // empty: by the first byte, cri or docker
  bool rotated = false;
  // A leftover of rotation that no pattern asks for: worth reading only if its beginning was read
  // before.
  bool only_if_known = false;
  bool compressed = false;
  // The log is told by its folder and first line, whatever its inode.
  bool owns_folder = false;
  std::string order;  // of rotated files, where their names say it
};

struct FoundLogFolders {
  std::vector<LogFolder> folders;
  std::vector<std::string> parents;  // where new folders may appear
  bool truncated = false;            // more than kMaxLogFolders
};

constexpr size_t kMaxLogFolders = 20'000;

FoundLogFolders FindLogFolders(const FsRoot& fs, const v1::LogsConfig& config);
// The configured roots: nothing outside them is ever read.
std::vector<std::string> LogRootFolders(const v1::LogsConfig& config);
// nullopt: not a log file, or compressed by others than kubelet or Docker, or half written.
std::optional<LogFileRole> RoleOf(const LogFolder& folder, std::string_view name);

}  // namespace faultline
