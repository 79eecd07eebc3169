// Messages between agents and the aggregator, whatever carries them: ZeroMQ with CURVE (zmq_transport.h) or memory
// (memory_transport.h, for tests). Framing is in common/WIRE.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace faultline {

enum class MessageKind : uint8_t {
  kHello = 1,
  kHelloReply = 2,
  kBatch = 3,        // zstd-compressed v1::Batch
  kAck = 4,
  kReject = 5,
  kCommand = 6,
  kCommandReply = 7,
  kHeartbeat = 8,
  kHeartbeatReply = 9,
  kDefinitions = 10,  // zstd-compressed v1::Definitions
};

constexpr uint8_t kProtocolVersion = 1;

struct WireMessage {
  MessageKind kind = MessageKind::kHello;
  std::string payload;
};

// "FL" version kind, then the payload. Decoding says kUnsupported for another version (and which), kCorruption for
// anything else that is not ours.
std::string EncodeFrame(const WireMessage& message);
Result<WireMessage> DecodeFrame(std::string_view frame);

// zstd with the size bound of the decoded text; kResourceExhausted beyond it, kCorruption for bad input.
std::string Compress(std::string_view text, int level = 1);
Result<std::string> Decompress(std::string_view compressed, size_t max_bytes);

// The agent's end. Single-threaded: poll fd() for readability, then Receive until it returns nullopt; after every
// Send and Receive as well (ZeroMQ's descriptor is edge-triggered).
class ClientTransport {
 public:
  virtual ~ClientTransport() = default;
  virtual int fd() const = 0;
  // kUnavailable when the peer's queue is full or nobody is connected: keep it and try later.
  virtual Result<void> Send(const WireMessage& message) = 0;
  virtual std::optional<Result<WireMessage>> Receive() = 0;
  // Drops the connection and makes a new one (next endpoint of the list).
  virtual Result<void> Reconnect() = 0;
};

// What Incoming::node says for a key that may speak for any node (agents/any-node.public).
constexpr char kAnyNode[] = "*";

// The aggregator's end. Single-threaded, except Wake.
class ServerTransport {
 public:
  struct Incoming {
    std::string peer;   // routing identity, opaque
    std::string node;   // authenticated name (from the key); empty if the transport does not authenticate
    Result<WireMessage> message;
  };
  virtual ~ServerTransport() = default;
  // Waits up to timeout for a message, a Wake or nothing.
  virtual std::optional<Incoming> Receive(int timeout_ms) = 0;
  virtual Result<void> Send(const std::string& peer, const WireMessage& message) = 0;
  // Makes a waiting Receive return; thread-safe.
  virtual void Wake() = 0;
  // The endpoint really bound (port 0 resolved).
  virtual std::string endpoint() const = 0;
};

}  // namespace faultline
