// Runs one of the host's tools and reads what it prints: a fixed argument list, no shell, a
// deadline.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"

namespace faultline {

struct ToolOutcome {
  int exit_code = -1;
  std::string output;
};

// kNotFound: the tool is not installed. kTimeout: it was killed.
Result<ToolOutcome> RunTool(const std::vector<std::string>& arguments, int timeout_ms);

}  // namespace faultline
