// HTTP/1 requests that containers answer, and DNS queries that they make: as spans, and summed up
// by method, status and peer (bpf/requests.bpf.c). A request that says which trace it belongs to
// (traceparent) gets its span there. More requests than max_spans_per_second are counted and timed
// all the same; those of sampled traces come first.
#include <bpf/bpf.h>

#include <cstring>

#include "agent/probes/bpf_program.h"
#include "agent/probes/cgroup_selection.h"
#include "agent/probes/counts_probe.h"
#include "agent/probes/request_series.h"
#include "agent/probes/request_spans.h"
#include "agent/probes/ring_reader.h"
#include "agent/probes/syscall_names.h"
#include "bpf/requests.h"
#include "faultline/v1/config.pb.h"
#include "requests.skel.h"

namespace faultline {
namespace {

constexpr int64_t kDnsTimeoutNs = 5 * kNsPerSecond;

struct Role {
  std::string_view call;
  uint8_t role;
};
constexpr Role kRoles[] = {{"read", REQUEST_IN_BUFFER},       {"recvfrom", REQUEST_IN_BUFFER},
                           {"readv", REQUEST_IN_VECTOR},      {"recvmsg", REQUEST_IN_MESSAGE},
                           {"write", REQUEST_OUT_BUFFER},     {"sendto", REQUEST_OUT_BUFFER},
                           {"writev", REQUEST_OUT_VECTOR},    {"sendmsg", REQUEST_OUT_MESSAGE},
                           {"sendmmsg", REQUEST_OUT_MESSAGES}};

class RequestsProbe final : public Collector {
 public:
  RequestsProbe(const LeafContext& context, SkeletonPtr<requests_bpf> skeleton)
      : host_(context.host),
        index_(*context.containers),
        skeleton_(std::move(skeleton)),
        selection_(index_,
                   {context.config.probes().requests().cgroups().begin(),
                    context.config.probes().requests().cgroups().end()},
                   skeleton_->maps.selected, skeleton_->bss->maybe_selected),
        books_("requests", skeleton_->obj, skeleton_->bss->accounts),
        spans_(host_, index_, context.config.probes().requests().max_spans_per_second()) {
    selection_.Update();
  }

  Result<void> Open(bool attach_each) {
    FAULTLINE_ASSIGN(ring_, RingReader::Open(bpf_map__fd(skeleton_->maps.ring),
                                             [this](const void* raw, size_t bytes) {
                                               if (out_ != nullptr) Deliver(raw, bytes);
                                             }));
    if (!attach_each) {
      MakeSheddable(books_, *skeleton_);
      return {};
    }
    FAULTLINE_TRY(AttachEach());
    books_.Sheddable([this] { links_.clear(); }, [this] { return AttachEach(); });
    return {};
  }

  std::optional<int> wake_fd() const override { return ring_->wake_fd(); }
  Result<void> Wake(Emitter& out) override { return Consume(out); }

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_TRY(books_.InService());
    selection_.Update();
    FAULTLINE_TRY(Consume(out));
    series_.ForgetUnless([&](const std::string& path) {
      const ContainerIdentity* owner = index_.Resolve(Origin{.cgroup_path = path});
      return path == "/" || (owner != nullptr && owner->cgroup_path == path);
    });
    SweepQueries();
    series_.Emit(out);
    spans_.Emit(out);
    books_.Emit(out);
    return {};
  }

 private:
  Result<void> AttachEach() {
    for (const Role& role : kRoles) {
      FAULTLINE_TRY(links_.Add(skeleton_->progs.request_exit_one, "syscalls",
                               fmt::format("sys_exit_{}", role.call)));
    }
    return {};
  }

  Result<void> Consume(Emitter& out) {
    books_.RingHeld(ring_->held());
    spans_.BeginPass();
    out_ = &out;
    const Result<void> consumed = ring_->Consume();
    out_ = nullptr;
    return consumed;
  }

  void Deliver(const void* raw, size_t bytes) {
    if (bytes < sizeof(request_begin)) return;
    request_begin begin;
    std::memcpy(&begin, raw, sizeof begin);
    const size_t room = bytes - sizeof begin;
    const std::string_view head(static_cast<const char*>(raw) + sizeof begin,
                                std::min<size_t>(begin.head_bytes, room));
    books_.Delivered(1);
    if (begin.kind == REQUEST_DNS) {
      series_.AddDns(spans_.OwnerPath(begin), DnsCodeName(begin.status), begin.took_ns);
      return spans_.Dns(begin, head, *out_);
    }
    // The answer may have been quicker than the end of the asker's own call.
    if (begin.kind == REQUEST_HTTP_SERVER && begin.peer_cgroup == 0) {
      const request_place asker[] = {begin.peers, begin.mine};
      bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.callers), asker, &begin.peer_cgroup);
    }
    const auto request = ParseHttpHead(head).value_or(HttpHead{.method = "unknown"});
    const RequestPeer peer = spans_.PeerOf(begin);
    series_.AddHttp(spans_.OwnerPath(begin), begin.kind == REQUEST_HTTP_SERVER, request.method,
                    begin.status, peer, begin.took_ns);
    spans_.Http(begin, request, peer, *out_);
  }

  // Queries that nobody answered in time; the others still wait.
  void SweepQueries() {
    const int fd = bpf_map__fd(skeleton_->maps.queries);
    const auto now_ns = static_cast<uint64_t>(host_.clock->SteadyNs());
    std::vector<dns_key> late;
    uint64_t waiting = 0;
    dns_key key{}, next{};
    std::vector<std::byte> value(bpf_map__value_size(skeleton_->maps.queries));
    for (const dns_key* at = nullptr; bpf_map_get_next_key(fd, at, &next) == 0; at = &key) {
      key = next;
      ++waiting;
      uint64_t at_ns = 0, cgroup = 0;
      if (bpf_map_lookup_elem(fd, &key, value.data()) != 0) continue;
      std::memcpy(&at_ns, value.data(), sizeof at_ns);
      std::memcpy(&cgroup, value.data() + sizeof at_ns, sizeof cgroup);
      if (at_ns + kDnsTimeoutNs > now_ns) continue;
      late.push_back(key);
      series_.AddDnsTimeout(spans_.PathOfKey(cgroup));
    }
    for (const dns_key& gone : late) {
      --waiting;
      if (bpf_map_delete_elem(fd, &gone) == 0) books_.Delivered(1);
    }
    books_.Pending(waiting);
  }

  const HostView& host_;
  ContainerIndex& index_;
  SkeletonPtr<requests_bpf> skeleton_;
  TracepointLinks links_;
  CgroupSelection selection_;
  std::unique_ptr<RingReader> ring_;
  ProbeBooks books_;
  RequestSeries series_;
  RequestSpans spans_;
  Emitter* out_ = nullptr;  // during Consume
};

Result<std::unique_ptr<Collector>> Load(const LeafContext& context, const ProgramSet& programs,
                                        bool attach_each) {
  const v1::RequestsProbeConfig& config = context.config.probes().requests();
  FAULTLINE_ASSIGN(auto skeleton,
                   LoadProbe<requests_bpf>("requests", {&programs, 1}, [&](requests_bpf& object) {
                     object.rodata->only_selected = config.cgroups_size() > 0;
                     object.rodata->with_clients = config.clients();
                     for (const Role& role : kRoles) {
                       const auto number = SyscallNumber(role.call);
                       if (number && *number < REQUEST_NUMBERS)
                         const_cast<uint8_t&>(object.rodata->roles[*number]) = role.role;
                     }
                   }));
  auto probe = std::make_unique<RequestsProbe>(context, std::move(skeleton));
  FAULTLINE_TRY(probe->Open(attach_each));
  return probe;
}

}  // namespace

Result<std::unique_ptr<Collector>> MakeRequestsProbe(const LeafContext& context) {
  FAULTLINE_TRY(NeedContainers(context));
  // Where tracefs may not be read, the ends of all calls pass by the probe.
  if (auto probe = Load(context, {"request_exit_one"}, true)) return probe;
  return Load(context, {"request_exit"}, false);
}

}  // namespace faultline
