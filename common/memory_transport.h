// Both ends of a connection in memory, for tests of many agents in one process. The network between them loses, delays,
// repeats and reorders messages and cuts connections, all from one seed. Time is the test's: messages move in Deliver().
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/transport.h"

namespace faultline {

struct MemoryNetworkOptions {
  uint64_t seed = 1;
  double loss = 0;        // probability that a message vanishes
  double repeat = 0;      // … arrives twice
  double reorder = 0;     // … overtakes the one before it
  double disconnect = 0;  // … that sending it cuts the connection instead, with all that is under way
  size_t max_queued_messages = 1000;  // per direction and client; beyond it Send says unavailable
};

// Not thread-safe: everything happens on the test's thread, except that Wake does nothing.
class MemoryNetwork {
 public:
  explicit MemoryNetwork(const MemoryNetworkOptions& options);
  ~MemoryNetwork();
  // `node` is the name that the server sees as authenticated. The network outlives all ends.
  std::unique_ptr<ClientTransport> MakeClient(const std::string& node);
  std::unique_ptr<ServerTransport> MakeServer();
  // From here on nothing is lost, repeated, reordered or cut: lets a test end.
  void Heal();
  // Drops every connection and whatever is under way, as a restart of the server does.
  void CutAll();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
  friend class MemoryClient;
  friend class MemoryServer;
};

}  // namespace faultline
