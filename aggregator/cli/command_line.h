// The whole command line: main.cc calls this and nothing else.
#pragma once

namespace faultline::cli {

// Parses, runs one sub-command, prints. The exit code: 0 fine, 1 failed, 2 usage, 3 not found.
int RunCommandLine(int argc, char** argv);

}  // namespace faultline::cli
