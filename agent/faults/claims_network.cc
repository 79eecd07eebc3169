// What a network namespace looks like, asked over netlink, without any tool. Numbers that the
// kernel counts by itself (packets, hits) stay out: two readings of an untouched host are equal.
#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <map>

#include "agent/faults/claims.h"
#include "agent/faults/network_namespace.h"
#include "common/text.h"

// <net/if.h> has it, and does not go together with <linux/if.h>.
extern "C" unsigned int if_nametoindex(const char* name);

namespace faultline {
namespace {

constexpr size_t kReceiveBytes = size_t{1} << 18;
constexpr size_t kMaxMessages = 100'000;
constexpr int kIpsetSubsystem = 6;  // NFNL_SUBSYS_IPSET
constexpr int kIpsetList = 7;       // IPSET_CMD_LIST
constexpr int kIpsetProtocol = 6;   // the version that every kernel answers
constexpr int kIpsetAttrProtocol = 1;
constexpr int kIpsetAttrName = 2;

using OnMessage = std::function<void(const nlmsghdr&)>;
using Attributes = std::map<int, std::string_view>;

Attributes ReadAttributes(const void* begin, size_t length) {
  Attributes attributes;
  const auto* at = static_cast<const char*>(begin);
  while (length >= sizeof(rtattr)) {
    rtattr header{};
    std::memcpy(&header, at, sizeof header);
    if (header.rta_len < sizeof header || header.rta_len > length) break;
    attributes[header.rta_type & NLA_TYPE_MASK] = {at + sizeof header,
                                                   header.rta_len - sizeof header};
    const size_t step = std::min<size_t>(RTA_ALIGN(header.rta_len), length);
    at += step;
    length -= step;
  }
  return attributes;
}

// Attributes behind a fixed header of `skip` bytes.
Attributes AttributesOf(const nlmsghdr& message, size_t skip) {
  const auto* body = reinterpret_cast<const char*>(&message) + NLMSG_HDRLEN;
  const size_t offset = NLMSG_ALIGN(skip);
  if (message.nlmsg_len < NLMSG_HDRLEN + offset) return {};
  return ReadAttributes(body + offset, message.nlmsg_len - NLMSG_HDRLEN - offset);
}

std::string TextOf(const Attributes& attributes, int type) {
  const auto at = attributes.find(type);
  if (at == attributes.end()) return "";
  std::string_view text = at->second;
  return std::string(text.substr(0, text.find('\0')));
}

uint64_t HashOf(const Attributes& attributes, int type) {
  const auto at = attributes.find(type);
  return at == attributes.end() ? 0 : XXH64(at->second.data(), at->second.size(), 0);
}

// Sends one dump request and hands out what comes back. `body` is what follows nlmsghdr.
Result<void> Dump(int protocol, uint16_t type, std::string_view body, const OnMessage& take) {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) return FailErrno(errno, "netlink socket {}", protocol);
  const auto finish = [fd](Result<void> result) {
    close(fd);
    return result;
  };
  timeval patience{2, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::string request(NLMSG_LENGTH(0), '\0');
  nlmsghdr header{};
  header.nlmsg_len = static_cast<uint32_t>(NLMSG_LENGTH(body.size()));
  header.nlmsg_type = type;
  header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  std::memcpy(request.data(), &header, sizeof header);
  request += body;
  if (send(fd, request.data(), request.size(), 0) < 0)
    return finish(FailErrno(errno, "netlink send"));
  std::string buffer(kReceiveBytes, '\0');
  for (size_t messages = 0; messages < kMaxMessages;) {
    const ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return finish(FailErrno(errno, "netlink answer"));
    auto left = static_cast<unsigned>(n);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      ++messages;
      if (message->nlmsg_type == NLMSG_DONE) return finish({});
      if (message->nlmsg_type == NLMSG_ERROR) {
        int error = 0;
        std::memcpy(&error, NLMSG_DATA(message), sizeof error);
        return finish(error == 0 ? Result<void>() : FailErrno(-error, "netlink request {}", type));
      }
      take(*message);
    }
  }
  return finish(
      Fail(ErrorCode::kResourceExhausted, "netlink: more than {} messages", kMaxMessages));
}

template <typename Struct>
std::string Bytes(const Struct& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// A dump that this kernel cannot do at all says "none".
bool IsMissing(const Error& error) {
  return error.code == ErrorCode::kUnsupported || error.code == ErrorCode::kInvalidArgument ||
         error.code == ErrorCode::kNotFound;
}

Result<std::string> Joined(Result<void> dumped, std::vector<std::string> rows) {
  if (!dumped && !IsMissing(dumped.error())) return std::unexpected(dumped.error());
  std::sort(rows.begin(), rows.end());
  std::string text;
  for (const std::string& row : rows) text += (text.empty() ? "" : "; ") + row;
  if (text.empty()) return std::string("none");
  if (text.size() <= 3000) return text;
  return fmt::format("{}… ({} rows, {:016x})", text.substr(0, 1000), rows.size(),
                     XXH64(text.data(), text.size(), 0));
}

// ---- rtnetlink
// -----------------------------------------------------------------------------------

Result<std::string> ReadLink(const std::string& device) {
  const int index = static_cast<int>(if_nametoindex(device.c_str()));
  if (index == 0) return std::string(kAbsent);
  std::vector<std::string> rows;
  ifinfomsg ask{};
  auto dumped = Dump(NETLINK_ROUTE, RTM_GETLINK, Bytes(ask), [&](const nlmsghdr& message) {
    ifinfomsg link{};
    std::memcpy(&link, NLMSG_DATA(&message), sizeof link);
    if (link.ifi_index != index) return;
    const Attributes attributes = AttributesOf(message, sizeof link);
    uint32_t mtu = 0;
    if (const auto at = attributes.find(IFLA_MTU); at != attributes.end() && at->second.size() >= 4)
      std::memcpy(&mtu, at->second.data(), 4);
    rows.push_back(fmt::format("{} mtu {} qdisc {} xdp {:x}",
                               (link.ifi_flags & IFF_UP) != 0 ? "up" : "down", mtu,
                               TextOf(attributes, IFLA_QDISC), HashOf(attributes, IFLA_XDP)));
  });
  return Joined(std::move(dumped), std::move(rows));
}

// Kinds whose options contain counters.
bool OptionsCount(std::string_view kind) {
  return kind == "htb" || kind == "hfsc" || kind == "cbq";
}

Result<std::string> ReadQdiscs(const std::string& device) {
  const int index = static_cast<int>(if_nametoindex(device.c_str()));
  if (index == 0) return std::string(kAbsent);
  std::vector<std::string> rows;
  std::vector<uint32_t> parents = {TC_H_ROOT, TC_H_INGRESS,
                                   TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
                                   TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)};
  const auto take = [&](const char* what) {
    return [&, what](const nlmsghdr& message) {
      tcmsg tc{};
      std::memcpy(&tc, NLMSG_DATA(&message), sizeof tc);
      if (tc.tcm_ifindex != index) return;
      const Attributes attributes = AttributesOf(message, sizeof tc);
      const std::string kind = TextOf(attributes, TCA_KIND);
      const bool filter = std::string_view(what) == "filter";
      // Handles that the kernel chose may differ after the same thing was put back.
      const uint32_t handle = filter || (tc.tcm_handle >> 16) >= 0x8000 ? 0 : tc.tcm_handle;
      rows.push_back(fmt::format(
          "{} {} {:x} parent {:x} {:x}", what, kind, handle,
          (tc.tcm_parent >> 16) >= 0x8000 && tc.tcm_parent < 0xffff0000 ? 0 : tc.tcm_parent,
          OptionsCount(kind) || filter ? 0 : HashOf(attributes, TCA_OPTIONS)));
      if (!filter) parents.push_back(tc.tcm_handle);
    };
  };
  tcmsg ask{};
  ask.tcm_ifindex = index;
  auto dumped = Dump(NETLINK_ROUTE, RTM_GETQDISC, Bytes(ask), take("qdisc"));
  if (dumped) dumped = Dump(NETLINK_ROUTE, RTM_GETTCLASS, Bytes(ask), take("class"));
  const std::vector<uint32_t> asked = parents;
  for (const uint32_t parent : asked) {
    ask.tcm_parent = parent;
    // A parent that takes no filters says so; that is no error of ours.
    (void)Dump(NETLINK_ROUTE, RTM_GETTFILTER, Bytes(ask), take("filter"));
  }
  return Joined(std::move(dumped), std::move(rows));
}

// ---- nfnetlink
// -----------------------------------------------------------------------------------

Result<std::string> ReadNft() {
  std::vector<std::string> rows;
  std::map<std::string, int> rules;
  nfgenmsg ask{};
  ask.nfgen_family = NFPROTO_UNSPEC;
  const auto type = [](int command) {
    return static_cast<uint16_t>((NFNL_SUBSYS_NFTABLES << 8) | command);
  };
  const auto family = [](const nlmsghdr& message) {
    nfgenmsg header{};
    std::memcpy(&header, NLMSG_DATA(&message), sizeof header);
    return int{header.nfgen_family};
  };
  auto dumped =
      Dump(NETLINK_NETFILTER, type(NFT_MSG_GETTABLE), Bytes(ask), [&](const nlmsghdr& message) {
        rows.push_back(fmt::format("table {} {}", family(message),
                                   TextOf(AttributesOf(message, sizeof ask), NFTA_TABLE_NAME)));
      });
  if (dumped) {
    dumped =
        Dump(NETLINK_NETFILTER, type(NFT_MSG_GETCHAIN), Bytes(ask), [&](const nlmsghdr& message) {
          const Attributes attributes = AttributesOf(message, sizeof ask);
          rules[fmt::format("chain {} {} {}", family(message), TextOf(attributes, NFTA_CHAIN_TABLE),
                            TextOf(attributes, NFTA_CHAIN_NAME))];
        });
  }
  if (dumped) {
    dumped =
        Dump(NETLINK_NETFILTER, type(NFT_MSG_GETRULE), Bytes(ask), [&](const nlmsghdr& message) {
          const Attributes attributes = AttributesOf(message, sizeof ask);
          ++rules[fmt::format("chain {} {} {}", family(message),
                              TextOf(attributes, NFTA_RULE_TABLE),
                              TextOf(attributes, NFTA_RULE_CHAIN))];
        });
  }
  for (const auto& [chain, count] : rules) rows.push_back(fmt::format("{} {} rules", chain, count));
  return Joined(std::move(dumped), std::move(rows));
}

Result<std::string> ReadIpsets() {
  std::vector<std::string> rows;
  nfgenmsg ask{};
  std::string body = Bytes(ask);
  rtattr protocol{};
  protocol.rta_len = sizeof protocol + 1;
  protocol.rta_type = kIpsetAttrProtocol;
  body +=
      Bytes(protocol) + std::string(1, static_cast<char>(kIpsetProtocol)) + std::string(3, '\0');
  auto dumped = Dump(NETLINK_NETFILTER, static_cast<uint16_t>((kIpsetSubsystem << 8) | kIpsetList),
                     body, [&](const nlmsghdr& message) {
                       const std::string name =
                           TextOf(AttributesOf(message, sizeof ask), kIpsetAttrName);
                       if (std::find(rows.begin(), rows.end(), name) == rows.end())
                         rows.push_back(name);
                     });
  return Joined(std::move(dumped), std::move(rows));
}

// Only the tables that are there already: asking for another one would make it.
Result<std::string> ReadIptables() {
  std::vector<std::string> rows;
  const auto names = FsRoot("/").Read("/proc/thread-self/net/ip_tables_names");
  const int fd = names ? socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW) : -1;
  std::string_view rest = names ? std::string_view(*names) : std::string_view();
  std::string_view name;
  while (fd >= 0 && NextLine(rest, name)) {
    ipt_getinfo info{};
    std::memcpy(info.name, name.data(), std::min(name.size(), sizeof info.name - 1));
    socklen_t length = sizeof info;
    if (getsockopt(fd, SOL_IP, IPT_SO_GET_INFO, &info, &length) == 0)
      rows.push_back(fmt::format("{} {} entries, {} bytes", name, info.num_entries, info.size));
  }
  if (fd >= 0) close(fd);
  return Joined({}, std::move(rows));
}

}  // namespace

Result<std::string> ReadNetworkClaim(std::string_view kind, const std::string& network_namespace,
                                     const std::string& device) {
  if (NetworkNamespaceId(network_namespace) == 0) return std::string(kAbsent);
  Result<std::string> value = std::string();
  FAULTLINE_TRY(InNetworkNamespace(network_namespace, [&]() -> Result<void> {
    if (kind == "link") {
      value = ReadLink(device);
    } else if (kind == "qdisc") {
      value = ReadQdiscs(device);
    } else if (kind == "nft") {
      value = ReadNft();
    } else if (kind == "ipset") {
      value = ReadIpsets();
    } else if (kind == "iptables") {
      value = ReadIptables();
    } else {
      value = Fail(ErrorCode::kInvalidArgument, "claim: nothing is called {}", kind);
    }
    return {};
  }));
  return value;
}

}  // namespace faultline
