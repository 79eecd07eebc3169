// Speaks to an aggregator with a valid key and breaks every rule of common/WIRE.md once; checks the reason of each refusal.
//   wire_attacker ENDPOINT KEYS NODE
#include <poll.h>

#include <cstdio>
#include <string>
#include <zmq.hpp>

#include "common/clock.h"
#include "common/zmq_transport.h"
#include "faultline/v1/control.pb.h"

namespace faultline {
namespace {

namespace v1 = ::faultline::v1;

class Attacker {
 public:
  explicit Attacker(std::unique_ptr<ClientTransport> client) : client_(std::move(client)) {}

  void Send(MessageKind kind, const std::string& payload) {
    const int64_t deadline = clock_.SteadyNs() + 10 * kNsPerSecond;
    while (!client_->Send({kind, payload}) && clock_.SteadyNs() < deadline) Wait();
  }

  std::optional<WireMessage> Receive() {
    const int64_t deadline = clock_.SteadyNs() + 10 * kNsPerSecond;
    while (clock_.SteadyNs() < deadline) {
      const auto message = client_->Receive();
      if (!message) {
        Wait();
      } else if (!*message || (**message).kind != MessageKind::kCommand) {  // commands go to every node
        return *message ? std::optional(**message) : std::nullopt;
      }
    }
    return std::nullopt;
  }

  bool Expect(const char* what, v1::RejectReason reason) { return Judge(what, Receive(), reason); }

  bool Judge(const char* what, const std::optional<WireMessage>& message, v1::RejectReason reason) {
    v1::Reject reject;
    const bool good = message && message->kind == MessageKind::kReject &&
                      reject.ParseFromString(message->payload) && reject.reason() == reason &&
                      !reject.message().empty();
    std::printf("%s %s: %s (%s)\n", good ? "ok  " : "FAIL", what,
                message ? v1::RejectReason_Name(reject.reason()).c_str() : "no answer", reject.message().c_str());
    failed_ |= !good;
    return good;
  }

  void Hello(const std::string& node) {
    v1::Hello hello;
    hello.set_node(node);
    hello.set_session(kSession);
    hello.set_clock_unix_ns(clock_.UnixNs());
    Send(MessageKind::kHello, hello.SerializeAsString());
  }

  bool failed() const { return failed_; }
  static constexpr uint64_t kSession = 0xfeed;

 private:
  void Wait() {
    pollfd waiting{client_->fd(), POLLIN, 0};
    poll(&waiting, 1, 10);
  }

  SystemClock clock_;
  std::unique_ptr<ClientTransport> client_;
  bool failed_ = false;
};

std::string Packed(uint64_t sequence, uint64_t previous, void (*fill)(v1::Batch*)) {
  v1::Batch batch;
  batch.set_session(Attacker::kSession);
  batch.set_sequence(sequence);
  batch.set_previous_sequence(previous);
  if (fill != nullptr) fill(&batch);
  return Compress(batch.SerializeAsString());
}

// The transport cannot speak another version; a bare socket can.
std::optional<WireMessage> SpeakVersion(uint8_t version, const ZmqClientOptions& options) {
  zmq::context_t context(1);
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::rcvtimeo, 10'000);
  socket.set(zmq::sockopt::curve_serverkey, options.server_public_key);
  socket.set(zmq::sockopt::curve_publickey, options.public_key);
  socket.set(zmq::sockopt::curve_secretkey, options.secret_key);
  socket.connect(options.endpoints.front());
  std::string frame = EncodeFrame({MessageKind::kHello, ""});
  frame[2] = static_cast<char>(version);
  socket.send(zmq::buffer(frame), zmq::send_flags::none);
  zmq::message_t reply;
  if (!socket.recv(reply, zmq::recv_flags::none)) return std::nullopt;
  auto message = DecodeFrame(reply.to_string_view());
  return message ? std::optional(*std::move(message)) : std::nullopt;
}

int Attack(const std::string& endpoint, const std::string& keys, const std::string& node) {
  auto options = ClientKeys(keys, node);
  if (!options) return std::fprintf(stderr, "%s\n", options.error().message.c_str()), 1;
  options->endpoints = {endpoint};
  options->max_message_bytes = size_t{64} << 20;
  auto client = MakeZmqClient(*options);
  if (!client) return std::fprintf(stderr, "%s\n", client.error().message.c_str()), 1;
  Attacker attacker(*std::move(client));

  attacker.Send(MessageKind::kBatch, Packed(1, 0, nullptr));
  attacker.Expect("a batch before hello", v1::REJECT_REASON_NO_HELLO);
  attacker.Hello("somebody-else");
  attacker.Expect("hello as another node", v1::REJECT_REASON_UNKNOWN_NODE);
  attacker.Hello(node);
  if (const auto reply = attacker.Receive(); !reply || reply->kind != MessageKind::kHelloReply) return 1;
  attacker.Send(MessageKind::kBatch, "this is no zstd frame");
  attacker.Expect("noise as a batch", v1::REJECT_REASON_CORRUPT);
  attacker.Send(MessageKind::kBatch, Compress(std::string(1 << 20, '\xff')));
  attacker.Expect("noise in a zstd frame", v1::REJECT_REASON_CORRUPT);
  attacker.Send(MessageKind::kBatch, Compress(std::string(size_t{256} << 20, '\0')));
  attacker.Expect("256 MiB in a small frame", v1::REJECT_REASON_TOO_LARGE);
  attacker.Send(MessageKind::kBatch, std::string(size_t{8} << 20, 'x'));
  attacker.Expect("8 MiB on the wire", v1::REJECT_REASON_TOO_LARGE);
  attacker.Send(MessageKind::kBatch, Packed(9, 8, nullptr));
  attacker.Expect("a gap", v1::REJECT_REASON_SEQUENCE_GAP);
  attacker.Send(MessageKind::kBatch, Packed(1, 0, [](v1::Batch* batch) {
                  auto* frame = batch->add_frames();
                  frame->set_time_unix_ms(1);
                  frame->add_ref_deltas(77);
                  frame->add_values(1);
                }));
  attacker.Expect("a reference nobody defined", v1::REJECT_REASON_UNKNOWN_REFERENCE);
  attacker.Send(MessageKind::kBatch, Packed(1, 0, [](v1::Batch* batch) {
                  auto* frame = batch->add_frames();
                  frame->add_ref_deltas(1);
                }));
  attacker.Expect("references without values", v1::REJECT_REASON_CORRUPT);
  attacker.Send(MessageKind::kBatch, Packed(1, 0, [](v1::Batch* batch) {
                  auto* series = batch->add_series();
                  series->set_ref(1);
                  series->set_name("no name {}");
                }));
  attacker.Expect("a bad metric name", v1::REJECT_REASON_CORRUPT);
  attacker.Send(MessageKind::kHelloReply, "");
  attacker.Expect("a message that is not an agent's", v1::REJECT_REASON_CORRUPT);
  attacker.Send(static_cast<MessageKind>(99), "");
  attacker.Expect("an unknown kind", v1::REJECT_REASON_CORRUPT);
  attacker.Judge("protocol version 9", SpeakVersion(9, *options), v1::REJECT_REASON_PROTOCOL_VERSION);
  return attacker.failed() ? 1 : 0;
}

}  // namespace
}  // namespace faultline

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "wire_attacker ENDPOINT KEYS NODE\n"), 2;
  return faultline::Attack(argv[1], argv[2], argv[3]);
}
