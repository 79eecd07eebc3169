// ZeroMQ with CURVE behind the transport interfaces; the one place that includes zmq.hpp. Keys are Z85 text (40
// characters) in files made by `faultline keys` (RFC 26 CurveZMQ, RFC 27 ZAP).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/transport.h"

namespace faultline {

struct CurveKeyPair {
  std::string public_key;  // Z85, 40 characters
  std::string secret_key;
};

Result<CurveKeyPair> MakeCurveKeyPair();
// The public key that belongs to a secret one.
Result<std::string> CurvePublicKey(const std::string& secret_key);
// Reads and checks one key file; a secret that others can read is refused.
Result<std::string> ReadKeyFile(const std::string& path, bool secret);

struct ZmqClientOptions {
  std::vector<std::string> endpoints;  // tried in turn; tcp:// or ipc://
  std::string server_public_key;       // empty: no encryption (loopback only)
  std::string public_key;
  std::string secret_key;
  size_t max_message_bytes = size_t{16} << 20;
};
Result<std::unique_ptr<ClientTransport>> MakeZmqClient(const ZmqClientOptions& options);
// Options for node `node` with the keys of folder `keys` (empty: none).
Result<ZmqClientOptions> ClientKeys(const std::string& keys, const std::string& node);

struct ZmqServerOptions {
  std::string listen;        // tcp://127.0.0.1:8711; port 0 (tcp://127.0.0.1:*) picks a free one
  std::string keys;          // folder with aggregator.secret and agents/*.public; empty: no authentication
  size_t max_message_bytes = size_t{16} << 20;  // larger ones cost the peer its connection
  // Called from the authentication thread for each refused connection attempt with the reason.
  std::function<void(const std::string& reason)> on_refused;
};
Result<std::unique_ptr<ServerTransport>> MakeZmqServer(const ZmqServerOptions& options);

}  // namespace faultline
