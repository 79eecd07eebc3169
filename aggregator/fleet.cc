// One map under one mutex: nodes are hundreds, events a few per node and second.
//
// Clock offset: each message of a node says its clock when it left; the reception is later by the one-way delay, so
// node - ours is underestimated by it. The largest of the last minute is therefore the best estimate, off by the
// shortest delay seen (well under a millisecond on a LAN).

#include "aggregator/fleet.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

namespace faultline {
namespace {

constexpr int64_t kOffsetWindowNs = 60 * kNsPerSecond;
constexpr size_t kMaxPendingCommands = 10'000;

}  // namespace

struct Fleet::Impl {
  struct Entry {
    NodeState state;
    std::deque<std::pair<int64_t, int64_t>> offsets;  // steady time, offset; decreasing offsets
  };
  struct Pending {
    std::string node;
    int64_t deadline_unix_ns = 0;
    ReplyCallback on_reply;
  };

  Impl(const Clock* the_clock, int64_t timeout_ns) : clock(the_clock), node_timeout_ns(timeout_ns) {}

  Entry& Seen(const std::string& node) {
    Entry& entry = nodes[node];
    const int64_t now = clock->UnixNs();
    if (entry.state.first_seen_unix_ns == 0) {
      entry.state.node = node;
      entry.state.first_seen_unix_ns = now;
    }
    entry.state.last_seen_unix_ns = now;
    return entry;
  }

  NodeState Snapshot(const Entry& entry) const {
    NodeState state = entry.state;
    state.up = clock->UnixNs() - state.last_seen_unix_ns <= node_timeout_ns;
    return state;
  }

  const Clock* const clock;
  const int64_t node_timeout_ns;
  mutable std::mutex mutex;
  std::map<std::string, Entry> nodes;
  std::map<std::string, Pending> pending;  // by command id
  uint64_t next_command = 1;
  std::function<Result<void>(const std::string&, const v1::Command&)> sender;
};

Fleet::Fleet(const Clock* clock, int64_t node_timeout_ns)
    : impl_(std::make_unique<Impl>(clock, node_timeout_ns)) {}
Fleet::~Fleet() = default;

std::vector<NodeState> Fleet::Nodes() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<NodeState> states;
  for (const auto& [name, entry] : impl_->nodes) states.push_back(impl_->Snapshot(entry));
  return states;
}

Result<NodeState> Fleet::Node(const std::string& node) const {
  const std::lock_guard lock(impl_->mutex);
  const auto at = impl_->nodes.find(node);
  if (at == impl_->nodes.end()) return Fail(ErrorCode::kNotFound, "node '{}' was never seen", node);
  return impl_->Snapshot(at->second);
}

void Fleet::Send(const std::string& node, v1::Command command, ReplyCallback on_reply) {
  Result<void> sent;
  std::function<Result<void>(const std::string&, const v1::Command&)> sender;
  {
    const std::lock_guard lock(impl_->mutex);
    sender = impl_->sender;
    const auto at = impl_->nodes.find(node);
    if (at == impl_->nodes.end()) {
      sent = Fail(ErrorCode::kNotFound, "node '{}' was never seen", node);
    } else if (!impl_->Snapshot(at->second).up || !sender) {
      sent = Fail(ErrorCode::kUnavailable, "node '{}' is not connected", node);
    } else if (impl_->pending.size() >= kMaxPendingCommands) {
      sent = Fail(ErrorCode::kResourceExhausted, "{} commands are pending", kMaxPendingCommands);
    } else {
      command.set_id(fmt::format("{:x}-{}", impl_->clock->UnixNs(), impl_->next_command++));
      if (command.deadline_unix_ns() == 0) {
        command.set_deadline_unix_ns(impl_->clock->UnixNs() + 30 * kNsPerSecond);
      }
      impl_->pending[command.id()] = {node, command.deadline_unix_ns(), on_reply};
    }
  }
  if (sent) {
    sent = sender(node, command);
    if (sent) return;
    const std::lock_guard lock(impl_->mutex);
    // The reply may have been quicker than this; then it was delivered already.
    if (impl_->pending.erase(command.id()) == 0) return;
  }
  on_reply(std::unexpected(sent.error()));
}

Result<v1::CommandReply> Fleet::Call(const std::string& node, v1::Command command) {
  struct Waiting {
    std::mutex mutex;
    std::condition_variable ready;
    std::optional<Result<v1::CommandReply>> reply;
  };
  // Shared: the handler may run after an impatient caller is gone.
  const auto waiting = std::make_shared<Waiting>();
  Send(node, std::move(command), [waiting](Result<v1::CommandReply> reply) {
    const std::lock_guard lock(waiting->mutex);
    waiting->reply = std::move(reply);
    waiting->ready.notify_all();
  });
  std::unique_lock lock(waiting->mutex);
  waiting->ready.wait(lock, [&] { return waiting->reply.has_value(); });
  return *std::move(waiting->reply);
}

void Fleet::OnHello(const std::string& node, const v1::Hello& hello) {
  const std::lock_guard lock(impl_->mutex);
  NodeState& state = impl_->Seen(node).state;
  state.version = hello.version();
  state.boot_id = hello.boot_id();
  state.session = hello.session();
  state.capabilities.assign(hello.capabilities().begin(), hello.capabilities().end());
}

void Fleet::OnClock(const std::string& node, int64_t offset_ns, int64_t round_trip_ns) {
  const std::lock_guard lock(impl_->mutex);
  Impl::Entry& entry = impl_->Seen(node);
  const int64_t now = impl_->clock->SteadyNs();
  auto& offsets = entry.offsets;
  while (!offsets.empty() && offsets.back().second <= offset_ns) offsets.pop_back();
  offsets.emplace_back(now, offset_ns);
  while (offsets.front().first < now - kOffsetWindowNs) offsets.pop_front();
  entry.state.clock_offset_ns = offsets.front().second;
  if (round_trip_ns > 0) entry.state.round_trip_ns = round_trip_ns;
}

void Fleet::OnBatch(const std::string& node, uint64_t session, uint64_t sequence, size_t bytes) {
  const std::lock_guard lock(impl_->mutex);
  NodeState& state = impl_->Seen(node).state;
  if (session == state.session) state.committed_sequence = sequence;
  ++state.batches;
  state.bytes += bytes;
}

void Fleet::OnHeartbeat(const std::string& node, const v1::Heartbeat& heartbeat) {
  const std::lock_guard lock(impl_->mutex);
  impl_->Seen(node).state.spool_bytes = heartbeat.spool_bytes();
}

void Fleet::OnInventory(const std::string& node, const v1::Inventory& inventory) {
  const std::lock_guard lock(impl_->mutex);
  impl_->Seen(node).state.inventory = inventory;
}

void Fleet::OnReply(const std::string& node, const v1::CommandReply& reply) {
  ReplyCallback on_reply;
  {
    const std::lock_guard lock(impl_->mutex);
    const auto at = impl_->pending.find(reply.id());
    if (at == impl_->pending.end() || at->second.node != node) return;  // too late, or not theirs
    on_reply = std::move(at->second.on_reply);
    impl_->pending.erase(at);
  }
  if (reply.error_code().empty()) {
    on_reply(reply);
  } else {
    on_reply(std::unexpected(Error{ErrorCodeFromName(reply.error_code()),
                                   fmt::format("node {}: {}", node, reply.error_message())}));
  }
}

void Fleet::SetSender(std::function<Result<void>(const std::string& node, const v1::Command&)> sender) {
  const std::lock_guard lock(impl_->mutex);
  impl_->sender = std::move(sender);
}

void Fleet::ExpireCommands() {
  std::vector<Impl::Pending> expired;
  {
    const std::lock_guard lock(impl_->mutex);
    const int64_t now = impl_->clock->UnixNs();
    for (auto at = impl_->pending.begin(); at != impl_->pending.end();) {
      if (at->second.deadline_unix_ns > now) {
        ++at;
        continue;
      }
      expired.push_back(std::move(at->second));
      at = impl_->pending.erase(at);
    }
  }
  for (Impl::Pending& command : expired) {
    command.on_reply(Fail(ErrorCode::kTimeout, "node '{}' did not answer in time", command.node));
  }
}

}  // namespace faultline
