// faultline-guardian: three small programs in one file on disk. --guard watches over the faults of
// an agent (guardian.h);
// --worker is a stress worker (stress_worker.h), --serve the living part of a fault
// (fault_service.h). The agent starts both; people do not.
#include <cstdio>
#include <string_view>

#include "agent/faults/fault_service.h"
#include "agent/faults/guardian.h"
#include "agent/faults/stress_worker.h"
#include "common/log.h"

int main(int argc, char** argv) {
  const std::string_view role = argc > 1 ? argv[1] : "";
  if (role == "--worker") return faultline::WorkerMain(argc, argv);
  if (role == "--serve") return faultline::FaultServiceMain(argc, argv);
  if (role != "--guard") {
    std::fputs("faultline-guardian is started by faultline-agent\n", stderr);
    return role == "--help" || role == "--version" ? 0 : 2;
  }
  (void)faultline::SetUpLog("info", "text");
  const auto options = faultline::ReadGuardianArguments(argc, argv);
  const auto guarded = options ? faultline::Guard(*options, faultline::FaultCatalogue())
                               : std::unexpected(options.error());
  if (guarded) return 0;
  std::fprintf(stderr, "faultline-guardian: %s\n", guarded.error().message.c_str());
  return 1;
}
