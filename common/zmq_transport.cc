// The server authenticates with a ZAP thread that looks the client's public key up in the folder agents/: the file's name is
// the node's name, and it travels with each message as its User-Id. The folder is re-read when it changes, so adding or
// revoking a node needs no restart (a revoked node keeps an open connection until it reconnects).

#include "common/zmq_transport.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>
#include <zmq.hpp>

#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kZ85KeyLength = 40;
constexpr int kHeartbeatMs = 2000;
constexpr int kMaxQueuedMessages = 1000;

std::string ErrorText() { return zmq_strerror(zmq_errno()); }

class ZmqClient final : public ClientTransport {
 public:
  explicit ZmqClient(const ZmqClientOptions& options) : options_(options) {}

  Result<void> Connect() {
    try {
      socket_ = std::make_unique<zmq::socket_t>(context_, zmq::socket_type::dealer);
      socket_->set(zmq::sockopt::linger, 0);
      // Queue for a live connection only: what cannot leave stays in the spool.
      socket_->set(zmq::sockopt::immediate, 1);
      socket_->set(zmq::sockopt::sndhwm, kMaxQueuedMessages);
      socket_->set(zmq::sockopt::rcvhwm, kMaxQueuedMessages);
      socket_->set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(options_.max_message_bytes));
      socket_->set(zmq::sockopt::heartbeat_ivl, kHeartbeatMs);
      socket_->set(zmq::sockopt::heartbeat_timeout, 3 * kHeartbeatMs);
      socket_->set(zmq::sockopt::reconnect_ivl, 100);
      socket_->set(zmq::sockopt::reconnect_ivl_max, 5000);
      if (!options_.server_public_key.empty()) {
        socket_->set(zmq::sockopt::curve_serverkey, options_.server_public_key);
        socket_->set(zmq::sockopt::curve_publickey, options_.public_key);
        socket_->set(zmq::sockopt::curve_secretkey, options_.secret_key);
      }
      const std::string& endpoint = options_.endpoints[next_endpoint_++ % options_.endpoints.size()];
      socket_->connect(endpoint);
    } catch (const zmq::error_t& e) {
      return Fail(ErrorCode::kInvalidArgument, "connect to {}: {}", options_.endpoints.front(), e.what());
    }
    return {};
  }

  int fd() const override { return socket_->get(zmq::sockopt::fd); }

  Result<void> Send(const WireMessage& message) override {
    zmq::message_t frame(EncodeFrame(message));
    try {
      if (!socket_->send(frame, zmq::send_flags::dontwait)) {
        return Fail(ErrorCode::kUnavailable, "no connection, or its queue is full");
      }
    } catch (const zmq::error_t& e) {
      return Fail(ErrorCode::kUnavailable, "send: {}", e.what());
    }
    return {};
  }

  std::optional<Result<WireMessage>> Receive() override {
    zmq::message_t frame;
    try {
      if (!socket_->recv(frame, zmq::recv_flags::dontwait)) return std::nullopt;
      // A server never sends several parts; drain what else came.
      while (frame.more() && socket_->get(zmq::sockopt::rcvmore)) {
        zmq::message_t rest;
        (void)socket_->recv(rest, zmq::recv_flags::dontwait);
      }
    } catch (const zmq::error_t& e) {
      return Fail(ErrorCode::kUnavailable, "receive: {}", e.what());
    }
    return DecodeFrame(frame.to_string_view());
  }

  Result<void> Reconnect() override { return Connect(); }

 private:
  const ZmqClientOptions options_;
  size_t next_endpoint_ = 0;
  zmq::context_t context_{1};
  std::unique_ptr<zmq::socket_t> socket_;
};

// Public key -> node name, from the folder agents/.
class AllowList {
 public:
  explicit AllowList(std::string folder) : folder_(std::move(folder)) {}

  std::optional<std::string> Find(const std::string& public_key) {
    Refresh();
    const auto at = nodes_.find(public_key);
    if (at == nodes_.end()) return std::nullopt;
    return at->second;
  }

 private:
  void Refresh() {
    std::error_code error;
    std::map<std::string, std::string> nodes;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
      if (entry.path().extension() != ".public") continue;
      if (auto key = ReadKeyFile(entry.path(), false)) {
        nodes[*key] = entry.path().stem() == "any-node" ? kAnyNode : entry.path().stem().string();
      } else if (LogAllowed(entry.path().string())) {
        spdlog::warn("allow-list: {}", key.error().message);
      }
    }
    if (!error) nodes_ = std::move(nodes);
  }

  const std::string folder_;
  std::map<std::string, std::string> nodes_;
};

class ZmqServer final : public ServerTransport {
 public:
  explicit ZmqServer(const ZmqServerOptions& options) : options_(options) {}

  ~ZmqServer() override {
    if (zap_.joinable()) {
      try {
        zmq::socket_t stop(context_, zmq::socket_type::push);
        stop.connect("inproc://stop-zap");
        (void)stop.send(zmq::message_t(), zmq::send_flags::none);
      } catch (const zmq::error_t&) {
      }
      zap_.join();
    }
    if (wake_fd_ >= 0) close(wake_fd_);
  }

  Result<void> Bind() {
    wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake_fd_ < 0) return FailErrno(errno, "eventfd");
    try {
      socket_.set(zmq::sockopt::linger, 0);
      socket_.set(zmq::sockopt::sndhwm, kMaxQueuedMessages);
      socket_.set(zmq::sockopt::rcvhwm, kMaxQueuedMessages);
      socket_.set(zmq::sockopt::router_mandatory, 1);
      socket_.set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(options_.max_message_bytes));
      socket_.set(zmq::sockopt::heartbeat_ivl, kHeartbeatMs);
      socket_.set(zmq::sockopt::heartbeat_timeout, 3 * kHeartbeatMs);
      if (!options_.keys.empty()) {
        FAULTLINE_ASSIGN(const std::string secret,
                         ReadKeyFile(options_.keys + "/aggregator.secret", true));
        StartZap();
        socket_.set(zmq::sockopt::curve_server, 1);
        socket_.set(zmq::sockopt::curve_secretkey, secret);
        socket_.set(zmq::sockopt::zap_domain, "faultline");
      }
      socket_.bind(options_.listen);
      endpoint_ = socket_.get(zmq::sockopt::last_endpoint);
      while (!endpoint_.empty() && endpoint_.back() == '\0') endpoint_.pop_back();
    } catch (const zmq::error_t& e) {
      return Fail(ErrorCode::kUnavailable, "listen on {}: {}", options_.listen, e.what());
    }
    return {};
  }

  std::optional<Incoming> Receive(int timeout_ms) override {
    if (auto incoming = TryReceive()) return incoming;
    zmq::pollitem_t items[] = {{socket_.handle(), 0, ZMQ_POLLIN, 0}, {nullptr, wake_fd_, ZMQ_POLLIN, 0}};
    try {
      zmq::poll(items, 2, std::chrono::milliseconds(timeout_ms));
    } catch (const zmq::error_t&) {
      return std::nullopt;  // a signal
    }
    if (items[1].revents != 0) {
      uint64_t count = 0;
      (void)!read(wake_fd_, &count, sizeof count);
    }
    return TryReceive();
  }

  Result<void> Send(const std::string& peer, const WireMessage& message) override {
    try {
      zmq::message_t identity(peer.data(), peer.size());
      if (!socket_.send(identity, zmq::send_flags::sndmore | zmq::send_flags::dontwait)) {
        return Fail(ErrorCode::kUnavailable, "the peer's queue is full");
      }
      zmq::message_t frame(EncodeFrame(message));
      (void)socket_.send(frame, zmq::send_flags::dontwait);
    } catch (const zmq::error_t& e) {
      return Fail(ErrorCode::kUnavailable, "send: {}", e.what());
    }
    return {};
  }

  void Wake() override {
    const uint64_t one = 1;
    (void)!write(wake_fd_, &one, sizeof one);
  }

  std::string endpoint() const override { return endpoint_; }

 private:
  std::optional<Incoming> TryReceive() {
    zmq::message_t identity, frame;
    try {
      if (!socket_.recv(identity, zmq::recv_flags::dontwait)) return std::nullopt;
      if (!identity.more() || !socket_.recv(frame, zmq::recv_flags::dontwait)) return std::nullopt;
      bool several = false;
      for (bool more = frame.more(); more;) {
        zmq::message_t rest;
        (void)socket_.recv(rest, zmq::recv_flags::dontwait);
        more = rest.more();
        several = true;
      }
      Incoming incoming{.peer = identity.to_string(), .node = {}, .message = {}};
      if (!options_.keys.empty()) {
        const char* user = zmq_msg_gets(frame.handle(), "User-Id");
        incoming.node = user == nullptr ? "" : user;
      }
      incoming.message = several ? Fail(ErrorCode::kCorruption, "message of several parts")
                                 : DecodeFrame(frame.to_string_view());
      return incoming;
    } catch (const zmq::error_t& e) {
      if (LogAllowed("zmq receive")) spdlog::warn("receive: {}", e.what());
      return std::nullopt;
    }
  }

  void StartZap() {
    // Bound here, so that the handler is there before the first client.
    auto handler = std::make_shared<zmq::socket_t>(context_, zmq::socket_type::rep);
    handler->bind("inproc://zeromq.zap.01");
    auto stop = std::make_shared<zmq::socket_t>(context_, zmq::socket_type::pull);
    stop->bind("inproc://stop-zap");
    zap_ = std::thread([this, handler, stop] { ServeZap(*handler, *stop); });
  }

  void ServeZap(zmq::socket_t& handler, zmq::socket_t& stop) {
    AllowList allowed(options_.keys + "/agents");
    while (true) {
      zmq::pollitem_t items[] = {{handler.handle(), 0, ZMQ_POLLIN, 0}, {stop.handle(), 0, ZMQ_POLLIN, 0}};
      try {
        zmq::poll(items, 2, std::chrono::milliseconds(-1));
        if (items[1].revents != 0) return;
        if (items[0].revents != 0) AnswerZap(handler, allowed);
      } catch (const zmq::error_t& e) {
        if (e.num() == ETERM) return;
      }
    }
  }

  // Request (RFC 27): version, request id, domain, address, identity, mechanism, credentials (32 raw bytes).
  void AnswerZap(zmq::socket_t& handler, AllowList& allowed) {
    std::vector<std::string> parts;
    bool more = true;
    while (more) {
      zmq::message_t part;
      if (!handler.recv(part, zmq::recv_flags::none)) return;
      more = part.more();
      parts.push_back(part.to_string());
    }
    std::string status = "400", reason = "unknown key", user;
    if (parts.size() == 7 && parts[5] == "CURVE" && parts[6].size() == 32) {
      char text[kZ85KeyLength + 1] = {};
      zmq_z85_encode(text, reinterpret_cast<const uint8_t*>(parts[6].data()), parts[6].size());
      if (const auto node = allowed.Find(text)) {
        status = "200";
        reason = "OK";
        user = *node;
      }
    }
    if (status != "200") {
      const std::string address = parts.size() > 3 ? parts[3] : "?";
      if (options_.on_refused) options_.on_refused(reason);
      if (LogAllowed("zap " + address)) {
        spdlog::warn("refused a connection from {}: its key is not in {}/agents", address, options_.keys);
      }
    }
    const std::string id = parts.size() > 1 ? parts[1] : "";
    for (const std::string_view part : {std::string_view("1.0"), std::string_view(id),
                                        std::string_view(status), std::string_view(reason),
                                        std::string_view(user)}) {
      (void)handler.send(zmq::buffer(part), zmq::send_flags::sndmore);
    }
    (void)handler.send(zmq::message_t(), zmq::send_flags::none);
  }

  const ZmqServerOptions options_;
  zmq::context_t context_{1};
  zmq::socket_t socket_{context_, zmq::socket_type::router};
  std::string endpoint_;
  int wake_fd_ = -1;
  std::thread zap_;
};

}  // namespace

Result<CurveKeyPair> MakeCurveKeyPair() {
  char public_key[kZ85KeyLength + 1], secret_key[kZ85KeyLength + 1];
  if (zmq_curve_keypair(public_key, secret_key) != 0) {
    return Fail(ErrorCode::kUnsupported, "make a CURVE key pair: {}", ErrorText());
  }
  return CurveKeyPair{public_key, secret_key};
}

Result<std::string> CurvePublicKey(const std::string& secret_key) {
  char public_key[kZ85KeyLength + 1];
  if (zmq_curve_public(public_key, secret_key.c_str()) != 0) {
    return Fail(ErrorCode::kInvalidArgument, "derive a CURVE public key: {}", ErrorText());
  }
  return std::string(public_key);
}

Result<std::string> ReadKeyFile(const std::string& path, bool secret) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return FailErrno(errno, "key file {}", path);
  if (secret && (status.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    return Fail(ErrorCode::kPermissionDenied, "key file {} is open to everybody: chmod 600 it", path);
  }
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  const std::string key(Trim(line));
  uint8_t raw[kZ85KeyLength];
  if (key.size() != kZ85KeyLength || zmq_z85_decode(raw, key.c_str()) == nullptr) {
    return Fail(ErrorCode::kInvalidArgument, "key file {}: not a key of {} Z85 characters", path,
                kZ85KeyLength);
  }
  return key;
}

Result<std::unique_ptr<ClientTransport>> MakeZmqClient(const ZmqClientOptions& options) {
  if (options.endpoints.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "uplink.endpoint: no endpoint is configured");
  }
  auto client = std::make_unique<ZmqClient>(options);
  FAULTLINE_TRY(client->Connect());
  return client;
}

Result<ZmqClientOptions> ClientKeys(const std::string& keys, const std::string& node) {
  ZmqClientOptions options;
  if (keys.empty()) return options;
  FAULTLINE_ASSIGN(options.server_public_key, ReadKeyFile(keys + "/aggregator.public", false));
  // A key of the node's own, or the one that all nodes of a cluster share.
  std::string secret = keys + "/" + node + ".secret";
  if (!std::filesystem::exists(secret)) secret = keys + "/any-node.secret";
  FAULTLINE_ASSIGN(options.secret_key, ReadKeyFile(secret, true));
  FAULTLINE_ASSIGN(options.public_key, CurvePublicKey(options.secret_key));
  return options;
}

Result<std::unique_ptr<ServerTransport>> MakeZmqServer(const ZmqServerOptions& options) {
  auto server = std::make_unique<ZmqServer>(options);
  FAULTLINE_TRY(server->Bind());
  return server;
}

}  // namespace faultline
