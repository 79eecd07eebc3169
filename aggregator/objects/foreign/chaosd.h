// chaosd's own ways in: bodies of its HTTP routes, and its command lines.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "common/result.h"

namespace faultline {

// The body of POST /api/attack/<kind> as Experiments. `node`: where chaosd would run; empty: any
// one node. `name`: of the object.
Result<std::vector<boost::json::object>> TranslateAttack(const std::string& kind,
                                                         boost::json::object body,
                                                         const std::string& name,
                                                         const std::string& node);

struct AttackCommand {
  std::string kind;
  boost::json::object body;
};

// "chaosd attack network delay -d eth0 -l 10ms", with or without its first two words.
// kUnsupported: asks for help, or is the form of a command and not one ([flags]).
Result<AttackCommand> ReadAttackCommand(std::span<const std::string> words);

}  // namespace faultline
