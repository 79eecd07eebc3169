#include "aggregator/api/router.h"

#include <algorithm>

#include "common/text.h"

namespace faultline {
namespace {

bool IsVariable(std::string_view part) {
  return part.size() > 2 && part.front() == '{' && part.back() == '}';
}

// Literal parts sort before variables, part by part, so that the first fit is the most literal one.
bool MoreLiteral(std::span<const std::string_view> a, std::span<const std::string_view> b) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (IsVariable(a[i]) != IsVariable(b[i])) return !IsVariable(a[i]);
  }
  return false;
}

bool Fits(std::span<const std::string_view> pattern, std::span<const std::string> path) {
  if (pattern.size() != path.size()) return false;
  for (size_t i = 0; i < path.size(); ++i) {
    if (IsVariable(pattern[i]) ? path[i].empty() : pattern[i] != path[i]) return false;
  }
  return true;
}

}  // namespace

Router::Router(std::span<const Route> routes) {
  for (const Route& route : routes) {
    Pattern pattern;
    pattern.route = &route;
    std::string_view path = route.path;
    if (!path.empty() && path.front() == '/') path.remove_prefix(1);
    if (!path.empty()) pattern.parts = Split(path, '/');
    std::string_view methods = route.methods;
    for (auto method = NextWord(methods); !method.empty(); method = NextWord(methods)) {
      pattern.methods.push_back(method);
    }
    patterns_.push_back(std::move(pattern));
  }
  std::stable_sort(patterns_.begin(), patterns_.end(), [](const Pattern& a, const Pattern& b) {
    return MoreLiteral(a.parts, b.parts);
  });
}

Router::Match Router::Find(std::string_view method, std::span<const std::string> path_parts) const {
  Match match;
  std::vector<std::string_view> allowed;
  for (const Pattern& pattern : patterns_) {
    if (!Fits(pattern.parts, path_parts)) continue;
    for (const std::string_view offered : pattern.methods) {
      if (std::ranges::find(allowed, offered) == allowed.end()) allowed.push_back(offered);
      const bool fits = offered == method || (offered == "GET" && method == "HEAD");
      if (!fits || match.route != nullptr) continue;
      match.route = pattern.route;
      for (size_t i = 0; i < pattern.parts.size(); ++i) {
        if (!IsVariable(pattern.parts[i])) continue;
        const auto name = pattern.parts[i].substr(1, pattern.parts[i].size() - 2);
        match.path_values.emplace_back(name, path_parts[i]);
      }
    }
  }
  if (!allowed.empty()) match.allow = fmt::format("{}, OPTIONS", fmt::join(allowed, ", "));
  return match;
}

}  // namespace faultline
