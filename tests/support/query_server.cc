// The query API over a store in memory, as a program of its own: lets a test compare the query engine with Prometheus
// without ingest and disk. Prints its address; serves until its standard input ends.
#include <cstdio>

#include "aggregator/api/http_server.h"
#include "common/clock.h"
#include "tests/support/memory_store.h"

int main() {
  faultline::MemoryStore store;
  faultline::SystemClock clock;
  faultline::ApiContext context;
  context.store = &store;
  context.clock = &clock;
  faultline::HttpServerOptions options;
  options.listen = "127.0.0.1:0";
  options.worker_threads = 1;  // the store is not thread-safe
  auto server = faultline::HttpServer::Start(options, faultline::RouteCatalogue(), &context);
  if (!server) {
    std::fprintf(stderr, "query_server: %s\n", server.error().message.c_str());
    return 1;
  }
  std::printf("%s\n", (*server)->address().c_str());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  (*server)->Stop();
  return 0;
}
