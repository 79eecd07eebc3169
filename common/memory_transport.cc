#include "common/memory_transport.h"

#include <deque>
#include <map>
#include <random>

namespace faultline {
namespace {

struct Link {
  std::string node;
  bool connected = true;
  std::deque<std::string> to_server;  // frames
  std::deque<std::string> to_client;
};

}  // namespace

struct MemoryNetwork::Impl {
  MemoryNetworkOptions options;
  std::mt19937_64 random;
  std::map<std::string, Link> links;  // by routing identity
  uint64_t next_link = 1;
  std::string last_served;

  bool Chance(double probability) {
    return probability > 0 && std::uniform_real_distribution<>(0, 1)(random) < probability;
  }

  Result<void> Enqueue(Link& link, std::deque<std::string>& queue, const WireMessage& message) {
    if (!link.connected || queue.size() >= options.max_queued_messages) {
      return Fail(ErrorCode::kUnavailable, "no connection, or its queue is full");
    }
    if (Chance(options.disconnect)) {
      Cut(link);
      return {};
    }
    if (Chance(options.loss)) return {};
    const int copies = Chance(options.repeat) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      if (!queue.empty() && Chance(options.reorder)) {
        queue.insert(queue.end() - 1, EncodeFrame(message));
      } else {
        queue.push_back(EncodeFrame(message));
      }
    }
    return {};
  }

  void Cut(Link& link) {
    link.connected = false;
    link.to_server.clear();
    link.to_client.clear();
  }
};

class MemoryClient final : public ClientTransport {
 public:
  MemoryClient(std::shared_ptr<MemoryNetwork::Impl> network, std::string node)
      : network_(std::move(network)), node_(std::move(node)) {
    Connect();
  }
  ~MemoryClient() override { network_->links.erase(identity_); }

  int fd() const override { return -1; }
  Result<void> Send(const WireMessage& message) override {
    Link& link = network_->links.at(identity_);
    return network_->Enqueue(link, link.to_server, message);
  }
  std::optional<Result<WireMessage>> Receive() override {
    auto& queue = network_->links.at(identity_).to_client;
    if (queue.empty()) return std::nullopt;
    const std::string frame = std::move(queue.front());
    queue.pop_front();
    return DecodeFrame(frame);
  }
  Result<void> Reconnect() override {
    network_->links.erase(identity_);
    Connect();
    return {};
  }

 private:
  void Connect() {
    identity_ = node_ + "#" + std::to_string(network_->next_link++);
    network_->links[identity_].node = node_;
  }

  const std::shared_ptr<MemoryNetwork::Impl> network_;
  const std::string node_;
  std::string identity_;
};

class MemoryServer final : public ServerTransport {
 public:
  explicit MemoryServer(std::shared_ptr<MemoryNetwork::Impl> network) : network_(std::move(network)) {}

  // Never waits; clients take turns.
  std::optional<Incoming> Receive(int /*timeout_ms*/) override {
    auto& links = network_->links;
    auto at = links.upper_bound(network_->last_served);
    for (size_t i = 0; i < links.size(); ++i, ++at) {
      if (at == links.end()) at = links.begin();
      auto& [identity, link] = *at;
      if (link.to_server.empty()) continue;
      network_->last_served = identity;
      const std::string frame = std::move(link.to_server.front());
      link.to_server.pop_front();
      return Incoming{identity, link.node, DecodeFrame(frame)};
    }
    return std::nullopt;
  }
  Result<void> Send(const std::string& peer, const WireMessage& message) override {
    const auto at = network_->links.find(peer);
    if (at == network_->links.end()) return Fail(ErrorCode::kUnavailable, "peer {} is gone", peer);
    return network_->Enqueue(at->second, at->second.to_client, message);
  }
  void Wake() override {}
  std::string endpoint() const override { return "memory:"; }

 private:
  const std::shared_ptr<MemoryNetwork::Impl> network_;
};

MemoryNetwork::MemoryNetwork(const MemoryNetworkOptions& options) : impl_(std::make_shared<Impl>()) {
  impl_->options = options;
  impl_->random.seed(options.seed);
}
MemoryNetwork::~MemoryNetwork() = default;

std::unique_ptr<ClientTransport> MemoryNetwork::MakeClient(const std::string& node) {
  return std::make_unique<MemoryClient>(impl_, node);
}

std::unique_ptr<ServerTransport> MemoryNetwork::MakeServer() { return std::make_unique<MemoryServer>(impl_); }

void MemoryNetwork::Heal() {
  const size_t limit = impl_->options.max_queued_messages;
  impl_->options = {};
  impl_->options.max_queued_messages = limit;
}

void MemoryNetwork::CutAll() {
  for (auto& [identity, link] : impl_->links) impl_->Cut(link);
}

}  // namespace faultline
