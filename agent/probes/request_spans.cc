#include "agent/probes/request_spans.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include "agent/probes/addresses.h"

namespace faultline {
namespace {

constexpr int kServer = 2, kClient = 3;  // OpenTelemetry's SpanKind
constexpr int kError = 2;                // and StatusCode

}  // namespace

RequestSpans::RequestSpans(const HostView& host, ContainerIndex& index, uint32_t max_per_second)
    : host_(host), index_(index), max_per_second_(max_per_second) {}

void RequestSpans::BeginPass() {
  const int64_t now_ns = host_.clock->SteadyNs();
  to_unix_ns_ = host_.clock->UnixNs() - now_ns;
  if (now_ns - second_began_ns_ < kNsPerSecond) return;
  second_began_ns_ = now_ns;
  in_second_[0] = in_second_[1] = 0;
}

bool RequestSpans::HasRoom(bool is_sampled) {
  if (max_per_second_ == 0 || ++in_second_[is_sampled ? 1 : 0] <= max_per_second_) {
    ++made_;
    return true;
  }
  ++without_room_;
  return false;
}

std::string RequestSpans::PathOfKey(uint64_t cgroup) {
  const KernelOwner owner = index_.ResolveKernelKey(cgroup);
  return owner.container == nullptr ? "/" : owner.container->cgroup_path;
}

RequestPeer RequestSpans::PeerOf(const request_begin& begin) {
  RequestPeer peer{.address = HostText(AF_INET6, 0, begin.peers.address)};
  if (begin.peer_cgroup == 0) return peer;
  const KernelOwner owner = index_.ResolveKernelKey(begin.peer_cgroup);
  if (owner.container == nullptr) return peer;
  peer.name_space = owner.container->name_space;
  peer.pod = owner.container->pod;
  peer.container = owner.container->container;
  return peer;
}

v1::Span& RequestSpans::Begin(const request_begin& begin, int kind) {
  v1::Span& span = span_;
  span.Clear();
  span.set_span_id(ids_.Next(8));
  span.set_kind(kind);
  span.set_start_unix_ns(to_unix_ns_ + static_cast<int64_t>(begin.at_ns));
  span.set_end_unix_ns(span.start_unix_ns() + static_cast<int64_t>(begin.took_ns));
  span.mutable_subject()->set_pid(begin.pid);
  span.mutable_subject()->set_comm(TextOf(begin.comm));
  return span;
}

void RequestSpans::Send(const request_begin& begin, v1::Span&& span, Emitter& out) {
  if (span.trace_id().empty()) span.set_trace_id(ids_.Next(16));
  const KernelOwner owner = index_.ResolveKernelKey(begin.cgroup);
  Origin origin{.cgroup_path = "/"};
  if (owner.container != nullptr) {
    span.set_service(owner.container->container);
    origin = {.cgroup_id = owner.container->cgroup_id, .cgroup_path = owner.container->cgroup_path};
  } else {
    span.set_service(span.subject().comm());
    if (!owner.is_node) origin = {.pid = begin.pid};
  }
  out.Span(std::move(span), origin);
}

void RequestSpans::Http(const request_begin& begin, const HttpHead& head, const RequestPeer& peer,
                        Emitter& out) {
  if (!HasRoom(head.is_sampled)) return;
  const bool is_server = begin.kind == REQUEST_HTTP_SERVER;
  v1::Span& span = Begin(begin, is_server ? kServer : kClient);
  const std::string route = RouteOf(head.path);
  span.set_name(fmt::format("{} {}", head.method, route));
  span.set_trace_id(head.trace_id);
  span.set_parent_span_id(head.parent_span_id);
  if (begin.status >= (is_server ? 500 : 400)) span.set_status_code(kError);
  AddAttribute(span, "http.request.method", std::string(head.method));
  AddAttribute(span, "http.route", route);
  AddAttribute(span, "url.path", std::string(head.path));
  AddAttribute(span, "http.response.status_code", std::to_string(begin.status));
  if (!head.host.empty()) AddAttribute(span, "server.address", std::string(head.host));
  if (!head.user_agent.empty())
    AddAttribute(span, "user_agent.original", std::string(head.user_agent));
  AddAttribute(span, "network.peer.address",
               AddressText(AF_INET6, 0, begin.peers.address, begin.peers.port));
  AddAttribute(span, "network.local.address",
               AddressText(AF_INET6, 0, begin.mine.address, begin.mine.port));
  if (!peer.pod.empty()) AddAttribute(span, "peer.k8s.pod.name", peer.pod);
  if (!peer.name_space.empty()) AddAttribute(span, "peer.k8s.namespace.name", peer.name_space);
  if (!peer.container.empty()) AddAttribute(span, "peer.container.name", peer.container);
  Send(begin, std::move(span), out);
}

void RequestSpans::Dns(const request_begin& begin, std::string_view query, Emitter& out) {
  if (!HasRoom(false)) return;
  v1::Span& span = Begin(begin, kClient);
  const auto question = ParseDnsQuestion(query);
  span.set_name("DNS query");
  const std::string code = DnsCodeName(begin.status);
  if (question) {
    AddAttribute(span, "dns.question.name", question->name);
    AddAttribute(span, "dns.question.type", DnsTypeName(question->type));
  }
  AddAttribute(span, "dns.response.code", code);
  const std::string server = AddressText(AF_INET6, 0, begin.peers.address, begin.peers.port);
  if (begin.peers.port != 0) AddAttribute(span, "network.peer.address", server);
  if (begin.status != 0) {
    span.set_status_code(kError);
    span.set_status_message(code);
  }
  Send(begin, std::move(span), out);
}

void RequestSpans::Emit(Emitter& out) const {
  static constexpr MetricFamily kMade = {"faultline_request_spans_total", v1::METRIC_TYPE_COUNTER,
                                         "Requests that became spans."};
  static constexpr MetricFamily kWithout = {
      "faultline_requests_without_span_total", v1::METRIC_TYPE_COUNTER,
      "Requests beyond probes.requests.max_spans_per_second: counted and timed, but no span."};
  out.Sample(kMade, {}, static_cast<double>(made_));
  out.Sample(kWithout, {}, static_cast<double>(without_room_));
}

}  // namespace faultline
