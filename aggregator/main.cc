// faultline-aggregator: receives, labels, stores, answers, diagnoses. All signals are taken by this thread, synchronously.
#include <csignal>
#include <cstdio>

#include "aggregator/aggregator.h"
#include "aggregator/api/routes/route.h"
#include "aggregator/diagnosis/diagnosis.h"
#include "aggregator/objects/objects.h"
#include "common/log.h"
#include "common/program_options.h"

namespace faultline {
namespace {

std::string ListCatalogues() {
  std::string text;
  for (const auto& row : RouteCatalogue()) {
    text += fmt::format("route     {:10} {:45} {}\n", row.methods, row.path, row.doc);
  }
  for (const auto& row : ObjectKindCatalogue()) {
    text += fmt::format("object    {:56} {}\n", row.kind, row.doc);
  }
  for (const auto& row : DetectorCatalogue()) {
    text += fmt::format("detector  {:56} {}\n", row.name, row.doc);
  }
  return text;
}

int Run(int argc, char** argv) {
  v1::AggregatorConfig config;
  ProgramOptions options({.name = "faultline-aggregator",
                          .summary = "Receives what agents send, labels and stores it, answers queries, diagnoses.",
                          .default_config = "/etc/faultline/aggregator.yaml"});
  if (const auto exit_code = options.Parse(argc, argv, config, ListCatalogues)) return *exit_code;
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGHUP, SIGINT, SIGTERM}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before any thread starts: they inherit it
  std::signal(SIGPIPE, SIG_IGN);
  if (auto ready = SetUpLog(config.log().level(), config.log().format()); !ready) {
    std::fprintf(stderr, "faultline-aggregator: %s\n", ready.error().message.c_str());
    return 2;
  }
  auto aggregator = Aggregator::Start(config);
  if (!aggregator) {
    std::fprintf(stderr, "faultline-aggregator: %s\n", aggregator.error().message.c_str());
    return 1;
  }
  spdlog::info("up: http://{}, agents at {}", (*aggregator)->http_address(), (*aggregator)->ingest_endpoint());
  while (true) {
    int number = 0;
    sigwait(&signals, &number);
    if (number != SIGHUP) break;
    v1::AggregatorConfig fresh;
    if (auto loaded = options.Load(fresh)) {
      (*aggregator)->Reload(fresh);
    } else {
      spdlog::error("the old configuration stays: {}", loaded.error().message);
    }
  }
  spdlog::info("stopping");
  (*aggregator)->Stop();
  return 0;
}

}  // namespace
}  // namespace faultline

int main(int argc, char** argv) { return faultline::Run(argc, argv); }
