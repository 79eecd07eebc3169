// Requests by owner, summed up: HTTP by method and status, who asked, DNS by response code. Bounded
// in series: what finds no place is counted as "other". Pure.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "bpf/include/times.h"
#include "common/emitter.h"

namespace faultline {

struct RequestTimes {
  uint64_t sum_ns = 0;
  std::array<uint64_t, TIME_BUCKETS> buckets{};
  void Add(uint64_t took_ns);
};

struct RequestPeer {
  std::string address;  // without port; `other` for those without a row of their own
  std::string name_space, pod, container;
  auto operator<=>(const RequestPeer&) const = default;
};

class RequestSeries {
 public:
  static constexpr size_t kMaxKinds = 48;  // pairs of method and status per owner
  static constexpr size_t kMaxPeers = 32;

  void AddHttp(std::string_view owner, bool is_server, std::string_view method, uint32_t status,
               RequestPeer peer, uint64_t took_ns);
  void AddDns(std::string_view owner, std::string_view code, uint64_t took_ns);
  void AddDnsTimeout(std::string_view owner) { ++OwnerAt(owner).dns_timeouts; }
  template <typename IsAlive>
  void ForgetUnless(IsAlive is_alive) {
    std::erase_if(owners_, [&](const auto& entry) { return !is_alive(entry.first); });
  }
  void Emit(Emitter& out) const;

 private:
  struct Kind {
    bool is_server = true;
    std::string method;
    std::string status;
    auto operator<=>(const Kind&) const = default;
  };
  struct PeerSums {
    uint64_t requests = 0;
    uint64_t errors = 0;  // status of 500 and more
    uint64_t took_ns = 0;
  };
  struct Owner {
    std::map<Kind, RequestTimes> http;
    std::map<std::pair<bool, RequestPeer>, PeerSums> peers;
    std::map<std::string, RequestTimes, std::less<>> dns;  // by code
    uint64_t dns_timeouts = 0;
  };
  Owner& OwnerAt(std::string_view path);

  std::map<std::string, Owner, std::less<>> owners_;
};

}  // namespace faultline
