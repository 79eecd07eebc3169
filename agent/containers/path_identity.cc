#include "agent/containers/path_identity.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "common/text.h"

namespace faultline {
namespace {

bool IsHexId(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c); });
}

bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool TakeSuffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

bool LooksLikePodUid(std::string_view text) {
  return text.size() >= 4 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '-';
         });
}

// pod<uid>, or kubepods-burstable-pod<uid_with_underscores>.slice; empty if it is neither.
std::string PodUidOf(std::string_view part) {
  std::string uid;
  if (TakeSuffix(part, ".slice")) {
    const size_t at = part.rfind("-pod");
    if (!part.starts_with("kubepods") || at == std::string_view::npos) return "";
    uid = part.substr(at + 4);
    std::replace(uid.begin(), uid.end(), '_', '-');
  } else if (TakePrefix(part, "pod")) {
    uid = part;
  }
  return LooksLikePodUid(uid) ? uid : "";
}

// The unit names that runtimes give to the scope of a container.
void ReadScope(std::string_view part, PathIdentity& identity) {
  struct Convention {
    std::string_view prefix;
    std::string_view runtime;
  };
  static constexpr std::array<Convention, 4> kConventions = {{{"cri-containerd-", "containerd"},
                                                              {"docker-", "docker"},
                                                              {"crio-", "crio"},
                                                              {"libpod-", "podman"}}};
  TakeSuffix(part, ".scope");
  for (const Convention& convention : kConventions) {
    std::string_view id = part;
    if (TakePrefix(id, convention.prefix) && IsHexId(id)) {
      identity.runtime = convention.runtime;
      identity.container_id = id;
      return;
    }
  }
}

// slice:prefix:id, what runc's systemd syntax becomes when the cgroupfs driver takes it literally.
void ReadColonForm(std::string_view part, PathIdentity& identity) {
  const auto pieces = Split(part, ':');
  if (pieces.size() != 3 || !IsHexId(pieces[2])) return;
  identity.pod_uid = PodUidOf(pieces[0]);
  identity.container_id = pieces[2];
  identity.runtime = pieces[1] == "crio" ? "crio" : pieces[1] == "docker" ? "docker" : "containerd";
}

}  // namespace

PathIdentity IdentityOfPath(std::string_view cgroup_path) {
  PathIdentity identity;
  if (!TakePrefix(cgroup_path, "/") || cgroup_path.empty()) return identity;
  const auto parts = Split(cgroup_path, '/');
  const std::string_view last = parts.back();
  const std::string_view parent = parts.size() >= 2 ? parts[parts.size() - 2] : "";
  bool in_kubepods = false;
  for (const std::string_view part : parts) {
    in_kubepods |= part.starts_with("kubepods");
    if (!in_kubepods) continue;
    if (std::string uid = PodUidOf(part); !uid.empty()) {
      identity.pod_uid = std::move(uid);
      identity.is_pod = part.data() == last.data();
    }
  }
  if (identity.is_pod) return identity;
  ReadScope(last, identity);
  if (identity.runtime.empty()) ReadColonForm(last, identity);
  if (!identity.runtime.empty()) return identity;
  if (IsHexId(last)) {
    identity.container_id = last;
    identity.runtime = parent == "docker"          ? "docker"
                       : parent == "libpod_parent" ? "podman"
                                                   : "containerd";
  } else if (parts.size() == 2 && (parent == "k8s.io" || parent == "moby")) {
    // containerd's namespaces: clients name their containers as they like.
    identity.container_id = last;
    identity.runtime = "containerd";
  }
  return identity;
}

}  // namespace faultline
