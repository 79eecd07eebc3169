#include "agent/probes/request_series.h"

#include <bit>

#include "agent/probes/series_owner.h"
#include "agent/probes/time_histogram.h"

namespace faultline {
namespace {

constexpr std::string_view kOther = "other";
constexpr HistogramFamily kServer = TimeHistogram(
    "container_http_request_duration_seconds_bucket", "container_http_request_duration_seconds_sum",
    "container_http_request_duration_seconds_count",
    "Time from the container's reading an HTTP request to its beginning to answer.");
constexpr HistogramFamily kClient = TimeHistogram(
    "container_http_client_duration_seconds_bucket", "container_http_client_duration_seconds_sum",
    "container_http_client_duration_seconds_count",
    "Time from the container's sending an HTTP request to its reading the answer.");
constexpr HistogramFamily kDns = TimeHistogram(
    "container_dns_query_duration_seconds_bucket", "container_dns_query_duration_seconds_sum",
    "container_dns_query_duration_seconds_count", "Time that DNS queries of the container took.");
constexpr MetricFamily kDnsTimeouts = {"container_dns_timeouts_total", v1::METRIC_TYPE_COUNTER,
                                       "DNS queries of the container that nobody answered."};
constexpr MetricFamily kPeerRequests = {"container_http_peer_requests_total",
                                        v1::METRIC_TYPE_COUNTER,
                                        "HTTP requests between the container and a peer."};
constexpr MetricFamily kPeerErrors = {"container_http_peer_errors_total", v1::METRIC_TYPE_COUNTER,
                                      "HTTP requests between the container and a peer that were "
                                      "answered with a status of 500 or more."};
constexpr MetricFamily kPeerSeconds = {
    "container_http_peer_seconds_total", v1::METRIC_TYPE_COUNTER,
    "Duration of HTTP requests between the container and a peer."};

}  // namespace

void RequestTimes::Add(uint64_t took_ns) {
  sum_ns += took_ns;
  const auto log2 = static_cast<size_t>(std::bit_width(took_ns | 1)) - 1;
  const size_t bucket = log2 < TIME_FIRST_BUCKET_LOG2 ? 0 : (log2 - TIME_FIRST_BUCKET_LOG2) / 2 + 1;
  ++buckets[std::min<size_t>(bucket, TIME_BUCKETS - 1)];
}

RequestSeries::Owner& RequestSeries::OwnerAt(std::string_view path) {
  const auto found = owners_.find(path);
  return found != owners_.end() ? found->second : owners_.emplace(path, Owner()).first->second;
}

void RequestSeries::AddHttp(std::string_view path, bool is_server, std::string_view method,
                            uint32_t status, RequestPeer peer, uint64_t took_ns) {
  Owner& owner = OwnerAt(path);
  Kind kind{is_server, std::string(method), std::to_string(status)};
  if (!owner.http.contains(kind) && owner.http.size() >= kMaxKinds)
    kind = {is_server, std::string(kOther), std::string(kOther)};
  owner.http[std::move(kind)].Add(took_ns);
  std::pair side(is_server, std::move(peer));
  if (!owner.peers.contains(side) && owner.peers.size() >= kMaxPeers)
    side.second = {.address = std::string(kOther)};
  PeerSums& sums = owner.peers[std::move(side)];
  ++sums.requests;
  sums.errors += status >= 500 ? 1 : 0;
  sums.took_ns += took_ns;
}

void RequestSeries::AddDns(std::string_view path, std::string_view code, uint64_t took_ns) {
  OwnerAt(path).dns[std::string(code)].Add(took_ns);
}

void RequestSeries::Emit(Emitter& out) const {
  for (const auto& [path, owner] : owners_) {
    for (const auto& [kind, times] : owner.http) {
      const LabelView labels[] = {{"method", kind.method}, {"status", kind.status}};
      EmitTimes(path, kind.is_server ? kServer : kClient, labels, times.sum_ns, times.buckets, out);
    }
    for (const auto& [side, sums] : owner.peers) {
      const LabelView labels[] = {{"direction", side.first ? "from" : "to"},
                                  {"peer", side.second.address},
                                  {"peer_namespace", side.second.name_space},
                                  {"peer_pod", side.second.pod},
                                  {"peer_container", side.second.container}};
      SampleOfOwner(path, kPeerRequests, labels, static_cast<double>(sums.requests), out);
      SampleOfOwner(path, kPeerErrors, labels, static_cast<double>(sums.errors), out);
      SampleOfOwner(path, kPeerSeconds, labels, static_cast<double>(sums.took_ns) / 1e9, out);
    }
    for (const auto& [code, times] : owner.dns) {
      const LabelView labels[] = {{"code", code}};
      EmitTimes(path, kDns, labels, times.sum_ns, times.buckets, out);
    }
    if (!owner.dns.empty() || owner.dns_timeouts > 0)
      SampleOfOwner(path, kDnsTimeouts, {}, static_cast<double>(owner.dns_timeouts), out);
  }
}

}  // namespace faultline
