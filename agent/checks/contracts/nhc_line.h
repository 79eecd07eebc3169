// What stands behind `||` on a line of NHC, taken apart as bash would: quotes, $NAME, $((sums)),
// comments, and several commands joined by && or ;. What only a shell could do is refused
// (kUnsupported).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace faultline {

using NhcWords = std::vector<std::string>;

struct NhcLine {
  std::vector<NhcWords> commands;
  std::vector<std::string> unset;  // variables that nothing has set: empty, as in bash
};

// Figures of the machine that only the check knows travel as \1NAME\2, a sum of them as =((sum)).
inline constexpr char kFigureBegin = '\1', kFigureEnd = '\2';
inline constexpr std::string_view kNhcNextCommand = "\3";

Result<NhcLine> ReadNhcLine(std::string_view text,
                            const std::map<std::string, std::string>& variables);
// {n[01-14].a,m9}: whether a node is in a list of them. Both ends of a range have as many digits as
// the node must have.
bool InNhcRange(std::string_view list, std::string_view node);
bool IsShellName(std::string_view text);

}  // namespace faultline
