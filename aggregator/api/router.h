// Finds the route of a method and a path. A {name} in a route's path takes one part; where a literal part and a
// {name} both fit, the literal wins. Immutable after construction, so any thread may ask.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aggregator/api/routes/route.h"

namespace faultline {

class Router {
 public:
  explicit Router(std::span<const Route> routes);

  struct Match {
    const Route* route = nullptr;  // null: nothing fits path and method
    std::vector<std::pair<std::string, std::string>> path_values;
    // Methods of the routes that fit the path, comma-separated; empty: the path is unknown.
    std::string allow;
  };
  // `method` GET also serves HEAD.
  Match Find(std::string_view method, std::span<const std::string> path_parts) const;

 private:
  struct Pattern {
    const Route* route = nullptr;
    std::vector<std::string_view> parts;
    std::vector<std::string_view> methods;
  };
  std::vector<Pattern> patterns_;  // most literal first
};

}  // namespace faultline
