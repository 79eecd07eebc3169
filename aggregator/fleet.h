// The nodes: who is there, since when, what runs on them, how far their clocks are off, and a way to tell them to do
// something. Fed by ingest; thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/result.h"
#include "faultline/v1/control.pb.h"

namespace faultline {

struct NodeState {
  std::string node;
  std::string version;
  std::string boot_id;
  bool up = false;
  int64_t first_seen_unix_ns = 0;
  int64_t last_seen_unix_ns = 0;
  int64_t clock_offset_ns = 0;  // node's clock minus ours
  int64_t round_trip_ns = 0;
  uint64_t session = 0;
  uint64_t committed_sequence = 0;
  uint64_t spool_bytes = 0;
  uint64_t batches = 0;
  uint64_t bytes = 0;
  std::vector<std::string> capabilities;
  v1::Inventory inventory;
};

class Fleet {
 public:
  // `node_timeout_ns` without a sign of life means down.
  Fleet(const Clock* clock, int64_t node_timeout_ns);
  ~Fleet();

  std::vector<NodeState> Nodes() const;
  Result<NodeState> Node(const std::string& node) const;

  using ReplyCallback = std::function<void(Result<v1::CommandReply>)>;
  // Sends a command (its id is set here); `on_reply` is called once, from ingest's thread, with the reply, or with
  // kTimeout after command.deadline_unix_ns, or kUnavailable when the node is not connected.
  void Send(const std::string& node, v1::Command command, ReplyCallback on_reply);
  // Blocks for the reply.
  Result<v1::CommandReply> Call(const std::string& node, v1::Command command);

  // ---- For ingest only -----------------------------------------------------------------------------------
  void OnHello(const std::string& node, const v1::Hello& hello);
  void OnClock(const std::string& node, int64_t offset_ns, int64_t round_trip_ns);
  void OnBatch(const std::string& node, uint64_t session, uint64_t sequence, size_t bytes);
  void OnHeartbeat(const std::string& node, const v1::Heartbeat& heartbeat);
  void OnInventory(const std::string& node, const v1::Inventory& inventory);
  void OnReply(const std::string& node, const v1::CommandReply& reply);
  // Where commands leave: set once before the first Send; must be callable from any thread.
  void SetSender(std::function<Result<void>(const std::string& node, const v1::Command&)> sender);
  void ExpireCommands();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
