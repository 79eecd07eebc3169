// The node agent: see agent.h for what it is made of.
#include <malloc.h>
#include <unistd.h>

#include <cstdio>

#include "agent/agent.h"
#include "common/log.h"
#include "common/program_options.h"

using faultline::Agent;
using faultline::Result;

namespace {

int Fatal(const faultline::Error& error) {
  std::fprintf(stderr, "faultline-agent: %s\n", error.message.c_str());
  return error.code == faultline::ErrorCode::kInvalidArgument ? 2 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  // One arena: threads of leaves are many and allocate little.
  mallopt(M_ARENA_MAX, 1);
  bool once = false, print = false;
  std::vector<std::string> only;
  faultline::ProgramOptions options({.name = "faultline-agent",
                          .summary = "Observes this node: metrics, logs, kernel events; runs checks; injects and undoes faults.",
                          .default_config = "/etc/faultline/agent.yaml"});
  options.AddFlag("--once", "run one pass of every leaf and exit; with --print", &once);
  options.AddFlag("--print", "print records as JSON lines instead of sending them", &print);
  options.AddList("--only", "with --once: this leaf only; repeatable", &only);
  options.RestrictNames("collectors", faultline::CollectorNames());
  options.RestrictNames("faults.allowed", faultline::FaultNames());
  options.RestrictNames("checks.builtin", faultline::CheckNames());
  faultline::v1::AgentConfig config;
  if (const auto exit_code = options.Parse(argc, argv, config, faultline::ListCatalogues)) return *exit_code;
  if (const auto log = faultline::SetUpLog(config.log().level(), config.log().format()); !log) {
    return Fatal(log.error());
  }
  if (once != print || (!only.empty() && !once)) {
    std::fprintf(stderr, "faultline-agent: --once and --print go together, --only needs both\n");
    return 2;
  }
  if (once) {
    const Result<void> done = Agent::RunOnce(config, only, stdout);
    if (!done) return Fatal(done.error());
    std::fflush(stdout);
    _exit(0);  // without waiting for leaves that hang
  }
  auto agent = Agent::Create(config, [&options]() -> Result<faultline::v1::AgentConfig> {
    faultline::v1::AgentConfig fresh;
    FAULTLINE_TRY(options.Load(fresh));
    return fresh;
  });
  if (!agent) return Fatal(agent.error());
  (*agent)->Run();
  const bool stuck = (*agent)->HasStuckLeaf();
  agent->reset();
  if (stuck) _exit(0);
  return 0;
}
