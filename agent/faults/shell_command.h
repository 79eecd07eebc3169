// A command that a person wrote, run by /bin/sh with a deadline. What it needs to know comes as
// environment variables; nothing is ever put into its text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"

namespace faultline {

struct CommandOutcome {
  int exit_code = 0;   // 128 + n when signal n ended it
  std::string output;  // standard output and error, the first 4 KiB
};

// kTimeout: it took longer and was killed, with all that it started. `environment`: NAME=VALUE,
// besides PATH.
Result<CommandOutcome> RunShell(const std::string& command,
                                const std::vector<std::string>& environment, int64_t timeout_ns);
// The same without a shell.
Result<CommandOutcome> RunProgram(const std::vector<std::string>& words,
                                  const std::vector<std::string>& environment, int64_t timeout_ns);

}  // namespace faultline
