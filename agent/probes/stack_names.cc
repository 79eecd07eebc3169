#include "agent/probes/stack_names.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "agent/probes/elf_functions.h"
#include "agent/probes/nearest_symbol.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxMapsBytes = size_t{16} << 20;
constexpr size_t kMaxKernelSymbolsBytes = size_t{128} << 20;

// What a caller's frame holds is where it goes on: the call itself is before that.
uint64_t CallAt(const std::vector<uint64_t>& addresses, size_t i) {
  return i == 0 ? addresses[0] : addresses[i] - 1;
}

// A frame may not hold what separates frames and lines.
std::string Frame(std::string name) {
  std::ranges::replace_if(
      name, [](char c) { return c == ';' || (static_cast<unsigned char>(c) < 0x20); }, ':');
  return ReplaceInvalidUtf8(name);
}

void SortUnique(std::vector<uint64_t>& values) {
  std::ranges::sort(values);
  values.erase(std::ranges::unique(values).begin(), values.end());
}

}  // namespace

std::vector<MappedFile> ReadableMaps(std::string_view maps) {
  std::vector<MappedFile> files;
  std::string_view line;
  while (NextLine(maps, line)) {
    const std::string_view range = NextWord(line), rights = NextWord(line);
    const auto offset = ParseUint(NextWord(line), 16);
    const std::string_view device = NextWord(line);
    const auto inode = ParseUint(NextWord(line));
    const size_t dash = range.find('-');
    if (dash == range.npos || rights.size() < 3 || rights[2] != 'x') continue;
    const auto begin = ParseUint(range.substr(0, dash), 16);
    const auto end = ParseUint(range.substr(dash + 1), 16);
    if (!begin || !end || !offset || !inode) continue;
    files.push_back(
        {*begin, *end, *offset, std::string(device), *inode, std::string(Trim(line))});
  }
  return files;
}

void StackNames::Look(const std::vector<uint32_t>& pids) {
  for (const uint32_t pid : pids) {
    const auto text = fs_.Read(fmt::format("/proc/{}/maps", pid), kMaxMapsBytes);
    if (text && !text->empty()) maps_[pid].push_back(ReadableMaps(*text));
  }
}

StackNames::Place StackNames::PlaceOf(uint32_t pid, uint64_t address) const {
  const auto process = maps_.find(pid);
  if (process == maps_.end()) return {};
  for (auto maps = process->second.rbegin(); maps != process->second.rend(); ++maps) {
    for (const MappedFile& file : *maps) {
      if (address >= file.begin && address < file.end)
        return {&file, address - file.begin + file.offset};
    }
  }
  return {};
}

// Through the root of a process that has it mapped; when all of them are gone, through that of
// another process of the same owner, or ours, where the path may by now be another file's.
FileDescriptor StackNames::Open(const FileKey& key, const File& file,
                                const std::map<uint32_t, std::set<uint32_t>>& pids_of) const {
  const auto& [device, inode, path] = key;
  const auto open_below = [&](const std::string& root) {
    return FileDescriptor(open(fs_.Path(root + path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  };
  const auto root_of = [](uint32_t pid) { return fmt::format("/proc/{}/root", pid); };
  for (const uint32_t pid : file.pids) {
    if (FileDescriptor opened = open_below(root_of(pid))) return opened;
  }
  const auto open_same = [&, number = inode](const std::string& root) {
    FileDescriptor opened = open_below(root);
    struct stat found{};
    if (opened && (fstat(opened.get(), &found) != 0 || found.st_ino != number)) opened.Close();
    return opened;
  };
  for (const uint32_t owner : file.owners) {
    for (const uint32_t pid : pids_of.at(owner)) {
      if (FileDescriptor opened = open_same(root_of(pid))) return opened;
    }
  }
  return open_same("");
}

void StackNames::NameFiles(const std::vector<RawStack>& stacks) {
  std::map<uint32_t, std::set<uint32_t>> pids_of;
  for (const RawStack& stack : stacks) {
    pids_of[stack.owner].insert(stack.pid);
    for (size_t i = 0; i < stack.in_user.size(); ++i) {
      const Place place = PlaceOf(stack.pid, CallAt(stack.in_user, i));
      if (place.file == nullptr || !place.file->path.starts_with('/')) continue;
      File& file = files_[KeyOf(*place.file)];
      file.pids.insert(stack.pid);
      file.owners.insert(stack.owner);
      file.offsets.push_back(place.offset);
    }
  }
  for (auto& [key, file] : files_) {
    SortUnique(file.offsets);
    const FileDescriptor opened = Open(key, file, pids_of);
    if (!opened) continue;
    if (auto names = FunctionsAt(opened.get(), file.offsets)) file.names = *std::move(names);
  }
}

void StackNames::NameKernel(const std::vector<RawStack>& stacks) {
  for (const RawStack& stack : stacks) {
    for (size_t i = 0; i < stack.in_kernel.size(); ++i)
      kernel_addresses_.push_back(CallAt(stack.in_kernel, i));
  }
  SortUnique(kernel_addresses_);
  kernel_names_.assign(kernel_addresses_.size(), "");
  if (kernel_addresses_.empty()) return;
  const auto symbols = fs_.Read("/proc/kallsyms", kMaxKernelSymbolsBytes);
  if (!symbols) return;
  NearestSymbol nearest(kernel_addresses_);
  std::string_view rest = *symbols, line;
  while (NextLine(rest, line)) {
    const auto address = ParseUint(NextWord(line), 16);
    const std::string_view kind = NextWord(line);
    // All are 0 for those who may not know.
    if (!address || *address == 0 || kind.size() != 1 || kind.find_first_of("tTwW") != 0)
      continue;
    nearest.Offer(*address, 0, static_cast<uint64_t>(line.data() - symbols->data()));
  }
  const auto& found = nearest.Find();
  for (size_t i = 0; i < found.size(); ++i) {
    if (!found[i].is_known) continue;
    std::string_view rest_of_file = std::string_view(*symbols).substr(found[i].name);
    NextLine(rest_of_file, line);
    kernel_names_[i] = NextWord(line);
  }
}

std::string StackNames::UserFrame(uint32_t pid, uint64_t address) const {
  const Place place = PlaceOf(pid, address);
  if (place.file == nullptr) return "[unknown]";
  const auto file = files_.find(KeyOf(*place.file));
  if (file != files_.end() && !file->second.names.empty()) {
    const auto at = std::ranges::lower_bound(file->second.offsets, place.offset);
    const std::string& name =
        file->second.names[static_cast<size_t>(at - file->second.offsets.begin())];
    if (!name.empty()) return Frame(name);
  }
  if (place.file->path.empty()) return "[anonymous]";
  if (place.file->path.starts_with('[')) return place.file->path;
  return Frame("[" + place.file->path.substr(place.file->path.rfind('/') + 1) + "]");
}

std::string StackNames::KernelFrame(uint64_t address) const {
  const auto at = std::ranges::lower_bound(kernel_addresses_, address);
  const std::string& name = kernel_names_[static_cast<size_t>(at - kernel_addresses_.begin())];
  return name.empty() ? "[kernel]" : name + "_[k]";
}

std::string StackNames::Text(const RawStack& stack) const {
  std::string text = Frame(stack.thread);
  if (stack.is_lost) text += ";[stack lost]";
  for (size_t i = stack.in_user.size(); i-- > 0;)
    text += ";" + UserFrame(stack.pid, CallAt(stack.in_user, i));
  for (size_t i = stack.in_kernel.size(); i-- > 0;)
    text += ";" + KernelFrame(CallAt(stack.in_kernel, i));
  return text;
}

std::vector<NamedStack> StackNames::Name(const std::vector<RawStack>& stacks) {
  std::set<uint32_t> pids;
  for (const RawStack& stack : stacks) pids.insert(stack.pid);
  Look({pids.begin(), pids.end()});
  NameFiles(stacks);
  NameKernel(stacks);
  std::map<std::pair<uint32_t, std::string>, uint64_t> sums;
  for (const RawStack& stack : stacks) sums[{stack.owner, Text(stack)}] += stack.samples;
  std::vector<NamedStack> named;
  for (const auto& [key, samples] : sums) named.push_back({key.first, key.second, samples});
  std::ranges::stable_sort(named, std::ranges::greater(), &NamedStack::samples);
  size_t bytes = 0, fitting = 0;
  while (fitting < named.size() && (bytes += named[fitting].text.size()) <= kMaxTextBytes) ++fitting;
  std::map<uint32_t, uint64_t> beyond;
  for (size_t i = fitting; i < named.size(); ++i) beyond[named[i].owner] += named[i].samples;
  named.resize(fitting);
  for (const auto& [owner, samples] : beyond) named.push_back({owner, "[more stacks]", samples});
  maps_.clear();
  files_.clear();
  kernel_addresses_.clear();
  kernel_names_.clear();
  return named;
}

}  // namespace faultline
