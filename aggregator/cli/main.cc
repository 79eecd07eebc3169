// faultline: the command. Also answers to kubectl-faultline.
#include "aggregator/cli/command_line.h"

int main(int argc, char** argv) { return faultline::cli::RunCommandLine(argc, argv); }
