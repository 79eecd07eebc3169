// From addresses to names: what processes have mapped, the symbols of those files and the kernel's.
// Opens files of containers, which may hang on a dead mount: not for the agent's thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "common/file_descriptor.h"
#include "common/host_view.h"

namespace faultline {

// Of one thread's name, process and owner; addresses have the innermost first.
struct RawStack {
  uint32_t owner = 0;  // as the caller counts them
  uint32_t pid = 0;
  std::string thread;
  uint64_t samples = 0;
  std::vector<uint64_t> in_user;
  std::vector<uint64_t> in_kernel;
  bool is_lost = false;  // the kernel had no room for its frames
};

struct NamedStack {
  uint32_t owner = 0;
  std::string text;  // thread;outermost;…;innermost
  uint64_t samples = 0;
};

struct MappedFile {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t offset = 0;
  std::string device;
  uint64_t inode = 0;
  std::string path;  // as the process sees it; [vdso]; empty
};

// Those of /proc/<pid>/maps that may be run.
std::vector<MappedFile> ReadableMaps(std::string_view maps);

class StackNames {
 public:
  explicit StackNames(FsRoot fs) : fs_(std::move(fs)) {}

  // Notes what these processes have mapped, while they live.
  void Look(const std::vector<uint32_t>& pids);
  // Equal stacks of an owner are one then, most samples first, at most kMaxTextBytes in all: what
  // is beyond is one stack of its owner, [more stacks]. Forgets what Look has noted.
  std::vector<NamedStack> Name(const std::vector<RawStack>& stacks);

  static constexpr size_t kMaxTextBytes = size_t{2} << 20;

 private:
  struct Place {
    const MappedFile* file = nullptr;
    uint64_t offset = 0;
  };
  using FileKey = std::tuple<std::string, uint64_t, std::string>;  // device, inode, path
  struct File {
    std::set<uint32_t> pids;    // who have mapped it
    std::set<uint32_t> owners;
    std::vector<uint64_t> offsets;
    std::vector<std::string> names;  // of offsets, once sorted
  };

  static FileKey KeyOf(const MappedFile& file) { return {file.device, file.inode, file.path}; }
  Place PlaceOf(uint32_t pid, uint64_t address) const;
  FileDescriptor Open(const FileKey& key, const File& file,
                      const std::map<uint32_t, std::set<uint32_t>>& pids_of) const;
  void NameFiles(const std::vector<RawStack>& stacks);
  void NameKernel(const std::vector<RawStack>& stacks);
  std::string UserFrame(uint32_t pid, uint64_t address) const;
  std::string KernelFrame(uint64_t address) const;
  std::string Text(const RawStack& stack) const;

  const FsRoot fs_;
  // The newest last: a process may have become another program since.
  std::map<uint32_t, std::vector<std::vector<MappedFile>>> maps_;
  std::map<FileKey, File> files_;
  std::vector<uint64_t> kernel_addresses_;  // sorted
  std::vector<std::string> kernel_names_;
};

}  // namespace faultline
