#include "agent/faults/traffic_filter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "network_fault.skel.h"

namespace faultline {
namespace {

constexpr uint32_t kMaxStage = NETWORK_FAULT_MAX_STAGE;
constexpr std::string_view kProgramPrefix = "network_";  // network_fault:[id], network_return:[id]

struct ListedFilter {
  uint32_t priority = 0;
  uint32_t handle = 0;
  uint32_t program_id = 0;
  bool is_ours = false;
};

uint32_t ParentOf(bool egress) {
  return TC_H_MAKE(TC_H_CLSACT, egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
}

std::string_view AttributeText(const rtattr* attribute) {
  const std::string_view text(static_cast<const char*>(RTA_DATA(attribute)),
                              RTA_PAYLOAD(attribute));
  return text.substr(0, text.find('\0'));
}

ListedFilter ReadFilter(const nlmsghdr* message) {
  const auto* filter = static_cast<const tcmsg*>(NLMSG_DATA(message));
  ListedFilter listed;
  listed.priority = TC_H_MAJ(filter->tcm_info) >> 16;
  listed.handle = filter->tcm_handle;
  long length = static_cast<long>(TCA_PAYLOAD(message));
  for (const rtattr* one = TCA_RTA(filter); RTA_OK(one, length); one = RTA_NEXT(one, length)) {
    if (one->rta_type != TCA_OPTIONS) continue;
    long inner = static_cast<long>(RTA_PAYLOAD(one));
    for (const rtattr* option = static_cast<const rtattr*>(RTA_DATA(one)); RTA_OK(option, inner);
         option = RTA_NEXT(option, inner)) {
      if (option->rta_type == TCA_BPF_ID)
        std::memcpy(&listed.program_id, RTA_DATA(option), sizeof listed.program_id);
      if (option->rta_type == TCA_BPF_NAME)
        listed.is_ours = AttributeText(option).starts_with(kProgramPrefix);
    }
  }
  return listed;
}

// Every answer to a dump of `type` about the device.
Result<void> Dump(uint16_t type, unsigned ifindex, uint32_t parent,
                  const std::function<void(const nlmsghdr*)>& visit) {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return FailErrno(errno, "netlink");
  struct {
    nlmsghdr header;
    tcmsg body;
  } request{};
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.body);
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.tcm_family = AF_UNSPEC;
  request.body.tcm_ifindex = static_cast<int>(ifindex);
  request.body.tcm_parent = parent;
  Result<void> done;
  bool more = send(fd, &request, request.header.nlmsg_len, 0) >= 0;
  if (!more) done = FailErrno(errno, "netlink dump");
  alignas(nlmsghdr) char buffer[32768];
  while (more) {
    ssize_t length = recv(fd, buffer, sizeof buffer, 0);
    if (length <= 0) {
      done = FailErrno(errno, "netlink dump");
      break;
    }
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer);
         NLMSG_OK(message, static_cast<size_t>(length)); message = NLMSG_NEXT(message, length)) {
      if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) more = false;
      if (more) visit(message);
    }
  }
  close(fd);
  return done;
}

std::vector<ListedFilter> ListFilters(unsigned ifindex, bool egress) {
  std::vector<ListedFilter> filters;
  (void)Dump(RTM_GETTFILTER, ifindex, ParentOf(egress), [&](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWTFILTER) return;
    const ListedFilter filter = ReadFilter(message);
    if (filter.handle != 0) filters.push_back(filter);
  });
  return filters;
}

bool HasClsact(unsigned ifindex) {
  bool found = false;
  (void)Dump(RTM_GETQDISC, ifindex, 0, [&](const nlmsghdr* message) {
    const auto* qdisc = static_cast<const tcmsg*>(NLMSG_DATA(message));
    if (message->nlmsg_type != RTM_NEWQDISC || qdisc->tcm_ifindex != static_cast<int>(ifindex))
      return;
    found = found || qdisc->tcm_parent == TC_H_CLSACT;
  });
  return found;
}

bpf_tc_hook HookOf(unsigned ifindex, bool egress) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
  return hook;
}

Result<void> AttachProgram(unsigned ifindex, bool egress, uint32_t handle, uint32_t priority,
                           const bpf_program* program) {
  bpf_tc_hook hook = HookOf(ifindex, egress);
  const int made = bpf_tc_hook_create(&hook);
  if (made != 0 && made != -EEXIST) return FailErrno(-made, "make clsact on device {}", ifindex);
  bpf_tc_opts options{};
  options.sz = sizeof options;
  options.handle = handle;
  options.priority = priority;
  options.prog_fd = bpf_program__fd(program);
  if (const int refused = bpf_tc_attach(&hook, &options); refused != 0)
    return FailErrno(-refused, "attach {} to device {}", bpf_program__name(program), ifindex);
  return {};
}

Result<uint32_t> FreeStage(unsigned ifindex, bool egress) {
  std::vector<bool> taken(kMaxStage + 1);
  uint32_t last = 0;
  for (const ListedFilter& filter : ListFilters(ifindex, egress)) {
    if (filter.priority <= kMaxStage) taken[filter.priority] = true;
    if (filter.is_ours) last = std::max(last, filter.priority);
  }
  for (uint32_t stage = last + 1; stage <= kMaxStage; ++stage) {
    if (!taken[stage]) return stage;
  }
  for (uint32_t stage = 1; stage <= kMaxStage; ++stage) {
    if (!taken[stage]) return stage;
  }
  return Fail(ErrorCode::kResourceExhausted, "device {} has {} filters", ifindex, kMaxStage);
}

// Eleven bits that tell this device and direction from any other on the machine.
uint32_t PlaceOf(unsigned ifindex, bool egress) {
  struct stat status{};
  (void)stat("/proc/thread-self/ns/net", &status);
  const uint64_t words[] = {status.st_ino, ifindex, egress ? 1U : 0U};
  const auto hash = static_cast<uint32_t>(XXH64(words, sizeof words, 0) % 2047 + 1);
  return hash << NETWORK_FAULT_STAGE_BITS;
}

int Silent(libbpf_print_level, const char*, va_list) { return 0; }

struct SkeletonCloser {
  void operator()(network_fault_bpf* skeleton) const { network_fault_bpf__destroy(skeleton); }
};

}  // namespace

uint32_t FilterHandle(std::string_view home, std::string_view fault_uid) {
  const auto whose = static_cast<uint32_t>(XXH64(home.data(), home.size(), 0)) << 20;
  const auto which = static_cast<uint32_t>(XXH64(fault_uid.data(), fault_uid.size(), 0));
  return whose | (which & ~kHomeOfHandle) | 1;
}

Result<std::shared_ptr<uint64_t>> AttachFilter(unsigned ifindex, bool egress, uint32_t handle,
                                               TrafficFilter filter) {
  libbpf_set_print(Silent);
  std::shared_ptr<network_fault_bpf> skeleton(network_fault_bpf__open(), SkeletonCloser());
  if (!skeleton) return FailErrno(errno, "open the network classifier");
  FAULTLINE_ASSIGN(const uint32_t stage, FreeStage(ifindex, egress));
  filter.config.stage = stage;
  filter.config.place = PlaceOf(ifindex, egress);
  filter.config.device_ifindex = ifindex;
  filter.config.egress = egress ? 1 : 0;
  filter.config.has_remotes = filter.remotes.empty() ? 0 : 1;
  // The skeleton's copy is const; before the load it is ours to write.
  std::memcpy(const_cast<void*>(static_cast<const void*>(&skeleton->rodata->config)),
              &filter.config, sizeof filter.config);
  if (const int refused = network_fault_bpf__load(skeleton.get()); refused != 0) {
    return Fail(ErrorCode::kUnsupported, "unsupported: the kernel refuses our classifier: {}",
                std::strerror(-refused));
  }
  for (const RemoteAddress& remote : filter.remotes) {
    network_fault_remote key{remote.prefix_bits, {}};
    std::copy(remote.address.begin(), remote.address.end(), key.address);
    const int map = bpf_map__fd(skeleton->maps.remotes);
    network_fault_remote_ports ports{};
    for (const RemoteAddress& other :
         filter.remotes) {  // the longest prefix answers for the others
      const bool covers = [&] {
        if (other.prefix_bits > remote.prefix_bits) return false;
        for (unsigned bit = 0; bit < other.prefix_bits; ++bit) {
          const int shift = 7 - static_cast<int>(bit % 8);
          if (((other.address[bit / 8] ^ remote.address[bit / 8]) >> shift & 1) != 0) return false;
        }
        return true;
      }();
      if (!covers) continue;
      if (other.port == 0) {
        ports.count = 0;
        break;
      }
      if (ports.count == NETWORK_FAULT_REMOTE_PORTS)
        return Fail(ErrorCode::kResourceExhausted, "more than {} ports of one address",
                    NETWORK_FAULT_REMOTE_PORTS);
      ports.ports[ports.count++] = other.port;
    }
    if (bpf_map_update_elem(map, &key, &ports, BPF_ANY) != 0)
      return FailErrno(errno, "remember a remote address");
  }
  if (filter.config.detour_ifindex != 0) {
    FAULTLINE_TRY(AttachProgram(filter.config.detour_ifindex, false, handle, 1,
                                skeleton->progs.network_return));
  }
  FAULTLINE_TRY(AttachProgram(ifindex, egress, handle, stage, skeleton->progs.network_fault));
  return std::shared_ptr<uint64_t>(skeleton,
                                   reinterpret_cast<uint64_t*>(&skeleton->bss->alive_until_ns));
}

Result<void> DetachFilters(unsigned ifindex, uint32_t handle, bool remove_qdisc) {
  libbpf_set_print(Silent);
  size_t left = 0;
  for (const bool egress : {false, true}) {
    for (const ListedFilter& filter : ListFilters(ifindex, egress)) {
      if (filter.handle != handle || !filter.is_ours) {
        ++left;
        continue;
      }
      bpf_tc_hook hook = HookOf(ifindex, egress);
      bpf_tc_opts options{};
      options.sz = sizeof options;
      options.handle = handle;
      options.priority = filter.priority;
      const int refused = bpf_tc_detach(&hook, &options);
      if (refused != 0 && refused != -ENOENT && refused != -EINVAL)
        return FailErrno(-refused, "detach a filter from device {}", ifindex);
    }
  }
  if (remove_qdisc && left == 0 && HasClsact(ifindex)) {
    bpf_tc_hook hook = HookOf(ifindex, false);
    hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
    const int refused = bpf_tc_hook_destroy(&hook);
    if (refused != 0 && refused != -ENOENT && refused != -EINVAL)
      return FailErrno(-refused, "remove clsact from device {}", ifindex);
  }
  return {};
}

bool HasFilter(unsigned ifindex, uint32_t handle) {
  for (const bool egress : {false, true}) {
    for (const ListedFilter& filter : ListFilters(ifindex, egress)) {
      if (filter.handle == handle && filter.is_ours) return true;
    }
  }
  return false;
}

std::vector<uint32_t> OurHandles(unsigned ifindex) {
  std::vector<uint32_t> handles;
  for (const bool egress : {false, true}) {
    for (const ListedFilter& filter : ListFilters(ifindex, egress)) {
      if (filter.is_ours) handles.push_back(filter.handle);
    }
  }
  return handles;
}

namespace {

bool AddCounts(uint32_t program_id, network_fault_counts& sum) {
  const int program = bpf_prog_get_fd_by_id(program_id);
  if (program < 0) return false;
  uint32_t ids[8] = {};
  bpf_prog_info about{};
  about.nr_map_ids = 8;
  about.map_ids = reinterpret_cast<uint64_t>(ids);
  uint32_t length = sizeof about;
  bool found = false;
  if (bpf_obj_get_info_by_fd(program, &about, &length) == 0) {
    for (uint32_t i = 0; i < std::min(about.nr_map_ids, 8U); ++i) {
      const int map = bpf_map_get_fd_by_id(ids[i]);
      bpf_map_info map_about{};
      length = sizeof map_about;
      std::remove_pointer_t<decltype(network_fault_bpf::bss)> globals{};
      const uint32_t zero = 0;
      if (map >= 0 && bpf_obj_get_info_by_fd(map, &map_about, &length) == 0 &&
          std::string_view(map_about.name).ends_with(".bss") &&
          map_about.value_size >= sizeof globals.counts && map_about.value_size <= sizeof globals &&
          bpf_map_lookup_elem(map, &zero, &globals) == 0) {
        sum.matched += globals.counts.matched;
        sum.dropped += globals.counts.dropped;
        sum.duplicated += globals.counts.duplicated;
        sum.corrupted += globals.counts.corrupted;
        sum.detoured += globals.counts.detoured;
        found = true;
      }
      if (map >= 0) close(map);
    }
  }
  close(program);
  return found;
}

}  // namespace

std::optional<network_fault_counts> ReadFilterCounts(unsigned ifindex, uint32_t handle) {
  network_fault_counts sum{};
  bool found = false;
  for (const bool egress : {false, true}) {
    for (const ListedFilter& filter : ListFilters(ifindex, egress)) {
      if (filter.handle == handle && filter.is_ours)
        found = AddCounts(filter.program_id, sum) || found;
    }
  }
  return found ? std::optional(sum) : std::nullopt;
}

ClsactState ReadClsact(unsigned ifindex) {
  if (!HasClsact(ifindex)) return ClsactState::kAbsent;
  size_t ours = 0;
  size_t foreign = 0;
  for (const bool egress : {false, true}) {
    for (const ListedFilter& filter : ListFilters(ifindex, egress))
      ++(filter.is_ours ? ours : foreign);
  }
  return ours > 0 && foreign == 0 ? ClsactState::kOurs : ClsactState::kForeign;
}

}  // namespace faultline
