#include "agent/probes/slow_calls.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "agent/probes/addresses.h"
#include "agent/probes/syscall_names.h"

namespace faultline {
namespace {

constexpr int kSpanKindInternal = 1;
constexpr int kStatusError = 2;

// Who reads of these waits for somebody to write.
bool IsStream(uint32_t mode) {
  return S_ISSOCK(mode) || S_ISFIFO(mode) || S_ISCHR(mode) || (mode != 0 && (mode & S_IFMT) == 0);
}

bool Reads(std::string_view call) { return call.starts_with("re") || call == "ioctl"; }

std::string FileKind(uint32_t mode) {
  if (S_ISSOCK(mode)) return "socket";
  if (S_ISFIFO(mode)) return "pipe";
  if (S_ISCHR(mode)) return "character device";
  if (S_ISBLK(mode)) return "block device";
  if (S_ISDIR(mode)) return "folder";
  return S_ISREG(mode) ? "file" : "other";
}

}  // namespace

SlowCalls::SlowCalls(const HostView& host, ContainerIndex& index, ProbeBooks& books,
                     bool with_streams)
    : host_(host), index_(index), books_(books), with_streams_(with_streams) {}

Result<void> SlowCalls::Open(int ring_fd) {
  FAULTLINE_ASSIGN(ring_, RingReader::Open(ring_fd, [this](const void* raw, size_t bytes) {
                     if (bytes < sizeof(slow_record) || out_ == nullptr) return;
                     slow_record record;
                     std::memcpy(&record, raw, sizeof record);
                     Deliver(record);
                   }));
  return {};
}

Result<void> SlowCalls::Consume(Emitter& out) {
  const int64_t now_ns = host_.clock->SteadyNs();
  if (now_ns - second_began_ns_ >= kNsPerSecond) {
    second_began_ns_ = now_ns;
    in_second_ = 0;
  }
  books_.RingHeld(ring_->held());
  out_ = &out;
  const Result<void> consumed = ring_->Consume();
  out_ = nullptr;
  return consumed;
}

std::string SlowCalls::PathOf(const slow_record& record) {
  std::string path;
  const uint32_t depth = std::min<uint32_t>(record.depth, SLOW_NAMES);
  for (uint32_t i = 0; i < depth; ++i) path.insert(0, "/" + TextOf(record.names[i]));
  if (depth == SLOW_NAMES) path.insert(0, "…");
  return path;
}

std::string SlowCalls::PeerOf(const slow_record& record) {
  if (!S_ISSOCK(record.mode) || record.port == 0) return "";
  return AddressText(record.family, record.address4, record.address6, record.port);
}

// The whole path, if the descriptor still stands for the same file; what the kernel told otherwise.
std::string SlowCalls::Target(const slow_record& record) const {
  const std::string seen = PathOf(record);
  const std::string link = host_.fs.Path(fmt::format("/proc/{}/fd/{}", record.pid, record.fd));
  char text[512];
  const ssize_t length = readlink(link.c_str(), text, sizeof text);
  if (length <= 0) return seen;
  const std::string_view path(text, static_cast<size_t>(length));
  const std::string name = record.depth > 0 ? TextOf(record.names[0]) : "";
  return path.ends_with(name) ? std::string(path) : seen;
}

void SlowCalls::Deliver(const slow_record& record) {
  const std::string call = SyscallName(record.number);
  if (!with_streams_ && IsStream(record.mode) && Reads(call)) return books_.Dropped("waits", 1);
  if (++in_second_ > kMaxPerSecond) return books_.Dropped("rate_limited", 1);
  books_.Delivered(1);
  v1::Span span;
  span.set_trace_id(ids_.Next(16));
  span.set_span_id(ids_.Next(8));
  span.set_service(TextOf(record.comm));
  span.set_name(call);
  span.set_kind(kSpanKindInternal);
  const int64_t to_unix_ns = host_.clock->UnixNs() - host_.clock->SteadyNs();
  span.set_start_unix_ns(to_unix_ns + static_cast<int64_t>(record.at_ns));
  span.set_end_unix_ns(span.start_unix_ns() + static_cast<int64_t>(record.took_ns));
  span.mutable_subject()->set_pid(record.pid);
  span.mutable_subject()->set_comm(span.service());
  AddAttribute(span, "syscall", call);
  AddAttribute(span, "thread.id", std::to_string(record.tid));
  AddAttribute(span, "syscall.result", std::to_string(record.result));
  if (record.result < 0 && record.result >= -4095) {
    span.set_status_code(kStatusError);
    span.set_status_message(ErrnoName(static_cast<uint32_t>(-record.result)));
  }
  if (record.fd >= 0) {
    AddAttribute(span, "fd", std::to_string(record.fd));
    if (record.mode != 0) AddAttribute(span, "file.type", FileKind(record.mode));
    if (const std::string peer = PeerOf(record); !peer.empty()) {
      AddAttribute(span, "network.peer.address", peer);
    } else if (record.mode != 0) {
      AddAttribute(span, "file.path", Target(record));
    }
  }
  const KernelOwner owner = index_.ResolveKernelKey(record.cgroup);
  Origin origin{.cgroup_path = "/"};
  if (owner.container != nullptr) {
    origin = {.cgroup_id = owner.container->cgroup_id, .cgroup_path = owner.container->cgroup_path};
  } else if (!owner.is_node) {
    origin = {.pid = record.pid};
  }
  out_->Span(std::move(span), origin);
}

}  // namespace faultline
