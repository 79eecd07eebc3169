// faultline-check-runner: started by faultline-agent with a socket as descriptor 3; see run_host.h.
#include "agent/checks/runner/run_host.h"
#include "common/log.h"

int main(int argc, char** argv) {
  using namespace std::literals;
  if (argc != 3 || argv[1] != "--run"sv) {
    fprintf(stderr, "faultline-check-runner is started by faultline-agent only\n");
    return 2;
  }
  (void)faultline::SetUpLog("info", "text");
  faultline::RunHost host(3, argv[2]);
  if (const auto served = host.Serve(); !served) {
    fprintf(stderr, "faultline-check-runner: %s\n", served.error().message.c_str());
    return 1;
  }
  return 0;
}
