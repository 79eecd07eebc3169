#include "agent/probes/bpf_program.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <mutex>

#include "common/text.h"

namespace faultline {
namespace {

std::mutex messages_mutex;
std::string messages_kept;
constexpr size_t kMaxKeptBytes = 4096;
constexpr uint32_t kBatch = 256;

int Keep(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  char line[512];
  const int length = vsnprintf(line, sizeof line, format, arguments);
  std::lock_guard lock(messages_mutex);
  if (length > 0 && messages_kept.size() < kMaxKeptBytes) messages_kept += line;
  return 0;
}

size_t Padded(size_t bytes) { return (bytes + 7) / 8 * 8; }

}  // namespace

LibbpfMessages::LibbpfMessages() {
  std::lock_guard lock(messages_mutex);
  messages_kept.clear();
  libbpf_set_print(Keep);
}
// Libbpf stays silent afterwards too: what it prints later is of no use to anybody.
LibbpfMessages::~LibbpfMessages() = default;

std::string LibbpfMessages::FirstLine() const {
  std::lock_guard lock(messages_mutex);
  std::string_view rest = messages_kept, line;
  while (NextLine(rest, line)) {
    // These mislead: they come with every EPERM.
    if (line.find("ulimit") == line.npos && line.find("RLIMIT_MEMLOCK") == line.npos)
      return std::string(Trim(line));
  }
  return "";
}

Error BpfRefused(std::string_view probe, std::string_view step, int error_number,
                 const std::string& message) {
  std::string reason =
      fmt::format("unsupported: {} of {}: {}", step, probe, std::strerror(error_number));
  if (error_number == EPERM || error_number == EACCES) {
    reason += geteuid() == 0 ? " (the kernel refuses this kind of BPF program)"
                             : " (needs CAP_BPF and CAP_PERFMON)";
  }
  if (!message.empty()) reason += fmt::format(" [{}]", message);
  return Error{ErrorCode::kUnsupported, std::move(reason)};
}

Result<void> ChoosePrograms(bpf_object* object, const ProgramSet& programs) {
  for (const char* name : programs) {
    bpf_program* program = bpf_object__find_program_by_name(object, name);
    if (program == nullptr) return Fail(ErrorCode::kInternal, "no BPF program {}", name);
    bpf_program__set_autoload(program, true);
  }
  return {};
}

uint32_t EntriesWithin(size_t budget_bytes, size_t value_bytes, uint32_t most) {
  const size_t cpus = static_cast<size_t>(std::max(1, libbpf_num_possible_cpus()));
  return static_cast<uint32_t>(
      std::clamp<size_t>(budget_bytes / (cpus * Padded(value_bytes)), 256, most));
}

void ReleaseLoadMemory() { malloc_trim(0); }

Result<void> TracepointLinks::Add(const bpf_program* program, const std::string& category,
                                  const std::string& tracepoint) {
  LibbpfMessages messages;
  bpf_link* const link =
      bpf_program__attach_tracepoint(program, category.c_str(), tracepoint.c_str());
  if (link == nullptr)
    return std::unexpected(BpfRefused(tracepoint, "attach", errno, messages.FirstLine()));
  links_.push_back(link);
  return {};
}

void TracepointLinks::clear() {
  for (bpf_link* const link : links_) bpf_link__destroy(link);
  links_.clear();
}

PercpuHash::PercpuHash(int map_fd, size_t key_bytes, size_t value_bytes, int cpus)
    : fd_(map_fd),
      key_bytes_(key_bytes),
      value_bytes_(Padded(value_bytes)),
      cpus_(std::max(1, cpus)),
      keys_(kBatch * key_bytes),
      values_(kBatch * value_bytes_ * static_cast<size_t>(cpus_)) {}

Result<void> PercpuHash::ForEach(const Visitor& visit) {
  if (!batches_) return KeyByKey(visit);
  const size_t entry_bytes = value_bytes_ * static_cast<size_t>(cpus_);
  uint32_t position = 0;  // opaque to us: the bucket to go on with
  bool first = true;
  while (true) {
    uint32_t count = kBatch;
    const int failed = bpf_map_lookup_batch(fd_, first ? nullptr : &position, &position,
                                            keys_.data(), values_.data(), &count, nullptr);
    if (failed != 0 && errno != ENOENT) {
      if (!first) return FailErrno(errno, "read a BPF map");
      batches_ = false;
      return KeyByKey(visit);
    }
    for (uint32_t i = 0; i < count; ++i)
      visit(keys_.data() + i * key_bytes_, values_.data() + i * entry_bytes);
    if (failed != 0) return {};
    first = false;
  }
}

Result<void> PercpuHash::KeyByKey(const Visitor& visit) {
  std::byte* const key = keys_.data();
  std::byte* const next = keys_.data() + key_bytes_;
  bool first = true;
  while (bpf_map_get_next_key(fd_, first ? nullptr : key, next) == 0) {
    std::copy(next, next + key_bytes_, key);
    first = false;
    if (bpf_map_lookup_elem(fd_, key, values_.data()) == 0) visit(key, values_.data());
  }
  if (errno != ENOENT) return FailErrno(errno, "read a BPF map");
  return {};
}

void PercpuHash::Delete(const void* key) { bpf_map_delete_elem(fd_, key); }

}  // namespace faultline
