#include "aggregator/experiments/blast_radius.h"

#include <algorithm>

#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

std::vector<std::string> ListAt(const json::object& spec, std::string_view name) {
  std::vector<std::string> list;
  const json::value* value = spec.if_contains(name);
  if (value == nullptr || !value->is_array()) return list;
  for (const json::value& item : value->get_array()) {
    if (item.is_string()) list.emplace_back(item.get_string());
  }
  return list;
}

bool MatchesAny(const std::vector<std::string>& globs, std::string_view text) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return GlobMatch(glob, text); });
}

// How many nodes may be under a fault at once: the smaller of maxNodes and gatekeeperRatio.
size_t NodeLimit(const json::object& spec, size_t nodes_all) {
  size_t limit = SIZE_MAX;
  if (const json::value* most = spec.if_contains("maxNodes")) {
    if (most->is_int64()) limit = static_cast<size_t>(std::max<int64_t>(most->get_int64(), 0));
    if (most->is_uint64()) limit = static_cast<size_t>(most->get_uint64());
    if (most->is_string()) {
      std::string_view text = most->get_string();
      if (text.ends_with('%')) text.remove_suffix(1);
      limit = nodes_all * static_cast<size_t>(ParseUint(text).value_or(0)) / 100;
    }
  }
  if (const json::value* ratio = spec.if_contains("gatekeeperRatio");
      ratio != nullptr && ratio->is_number()) {
    limit = std::min(
        limit, static_cast<size_t>(static_cast<double>(nodes_all) * ratio->to_number<double>()));
  }
  return limit;
}

Result<void> CheckOne(const std::string& name, const json::object& policy,
                      const ExperimentSpec& spec, const std::vector<Target>& targets,
                      const FleetUse& use) {
  const auto refuse = [&](std::string_view rule, std::string_view what) {
    return Fail(ErrorCode::kPermissionDenied, "policy {}: {}: {}", name, rule, what);
  };
  const std::vector<std::string> allowed = ListAt(policy, "allowedFaults");
  if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), spec.fault) == allowed.end()) {
    return refuse("allowedFaults", spec.fault);
  }
  const std::vector<std::string> nodes = ListAt(policy, "protectedNodes");
  const std::vector<std::string> namespaces = ListAt(policy, "protectedNamespaces");
  const std::vector<std::string> processes = ListAt(policy, "protectedProcesses");
  std::set<std::string> touched = use.nodes_under_fault;
  for (const Target& target : targets) {
    touched.insert(target.node);
    if (MatchesAny(nodes, target.node)) return refuse("protectedNodes", target.id);
    const v1::Subject& subject = target.subject;
    if (!subject.namespace_().empty() && MatchesAny(namespaces, subject.namespace_())) {
      return refuse("protectedNamespaces", target.id);
    }
    if (!subject.comm().empty() && MatchesAny(processes, subject.comm())) {
      return refuse("protectedProcesses", target.id);
    }
  }
  const size_t limit = NodeLimit(policy, use.nodes_all);
  if (touched.size() > limit) {
    return refuse("maxNodes", fmt::format("{} node(s) would be under a fault, limit {}",
                                          touched.size(), limit));
  }
  return {};
}

}  // namespace

Result<void> CheckBlastRadius(const std::vector<json::object>& policies, const ExperimentSpec& spec,
                              const std::vector<Target>& targets, const FleetUse& use) {
  for (const json::object& policy : policies) {
    const json::value* body = policy.if_contains("spec");
    if (body == nullptr || !body->is_object()) continue;
    const json::value* metadata = policy.if_contains("metadata");
    const json::value* name = metadata != nullptr && metadata->is_object()
                                  ? metadata->get_object().if_contains("name")
                                  : nullptr;
    const std::string who =
        name != nullptr && name->is_string() ? std::string(name->get_string()) : "?";
    FAULTLINE_TRY(CheckOne(who, body->get_object(), spec, targets, use));
  }
  return {};
}

}  // namespace faultline
