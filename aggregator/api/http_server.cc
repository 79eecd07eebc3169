#include "aggregator/api/http_server.h"

#include <atomic>
#include <thread>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "aggregator/api/http_stream.h"
#include "aggregator/api/dispatcher.h"
#include "aggregator/api/status.h"
#include "aggregator/api/http_web_socket.h"
#include "aggregator/api/worker_pool.h"
#include "common/log.h"
#include "common/self_metrics.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Tcp = asio::ip::tcp;
using HeadParser = http::request_parser<http::empty_body>;
using BodyParser = http::request_parser<http::string_body>;

constexpr int kQueryNice = 5;  // what arrives is stored first, questions are answered with what is left

auto Catch(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

std::chrono::milliseconds Milliseconds(int64_t ms) { return std::chrono::milliseconds(ms); }

// An answer that a worker makes and a coroutine waits for. The worker writes `value`, then sets
// `finished` through the connection's strand; the coroutine reads `value` only after that, or gives
// up at the deadline and never does.
template <typename T>
struct Pending {
  explicit Pending(const asio::any_io_executor& executor) : done(executor) {}
  asio::steady_timer done;
  bool finished = false;
  T value;
};

struct Address {
  std::string host;
  uint16_t port = 0;
};

Result<Address> ParseAddress(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  const auto port = colon == std::string::npos ? std::nullopt : ParseUint(listen.substr(colon + 1));
  if (!port || *port > 65535) {
    return Fail(ErrorCode::kInvalidArgument, "http.listen '{}': expected host:port", listen);
  }
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  if (host == "localhost") host = "127.0.0.1";
  return Address{host.empty() ? "0.0.0.0" : host, static_cast<uint16_t>(*port)};
}

RequestHead HeadOf(const HeadParser& parser, const std::string& remote) {
  RequestHead head;
  head.method = std::string(parser.get().method_string());
  head.target = std::string(parser.get().target());
  head.remote = remote;
  for (const auto& field : parser.get()) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    head.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  return head;
}

// What to say to a client whose header could not be read; nullopt when nobody is there to hear it.
std::optional<Reply> HeadRefusal(const error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return RefusalReply(ErrorForm::kPrometheus, 431, "header is too large");
  }
  if (error == http::error::body_limit) {
    return RefusalReply(ErrorForm::kPrometheus, 413, "body is too large");
  }
  if (error.category() != http::make_error_code(http::error::bad_method).category() ||
      error == http::error::end_of_stream || error == http::error::partial_message) {
    return std::nullopt;
  }
  return RefusalReply(ErrorForm::kPrometheus, 400, "not HTTP: " + error.message());
}

template <typename Message>
void FillHead(Message& message, const Reply& reply, bool keep_alive) {
  message.result(static_cast<unsigned>(reply.status));
  message.set(http::field::server, "faultline");
  message.set("X-Content-Type-Options", "nosniff");
  if (!reply.content_type.empty()) message.set(http::field::content_type, reply.content_type);
  for (const auto& [name, value] : reply.headers) message.insert(name, value);
  message.keep_alive(keep_alive);
}

}  // namespace

struct HttpServer::Impl {
  Impl(const HttpServerOptions& o, ApiContext* c)
      : options(o),
        context(c),
        io(static_cast<int>(o.io_threads)),
        acceptor(io),
        tls(asio::ssl::context::tls_server),
        workers(o.worker_threads, o.max_queued_requests, kQueryNice),
        ingest_workers(o.ingest_threads, o.max_queued_requests),
        streams(o.stream_threads, o.max_streams) {}

  const HttpServerOptions options;
  ApiContext* const context;
  std::unique_ptr<Dispatcher> dispatcher;
  asio::io_context io;
  Tcp::acceptor acceptor;
  asio::ssl::context tls;
  bool use_tls = false;
  std::string address;
  uint16_t port = 0;
  std::atomic<size_t> connections = 0;
  std::atomic<size_t> requests = 0;
  std::atomic<size_t> open_streams = 0;
  std::atomic<bool> stopping = false;
  WorkerPool workers;
  WorkerPool ingest_workers;
  WorkerPool streams;
  std::vector<std::jthread> threads;

  // Counts one of something for as long as it lives.
  struct Held {
    explicit Held(std::atomic<size_t>& c) : count(c) { ++count; }
    ~Held() { --count; }
    std::atomic<size_t>& count;
  };

  Result<void> Listen();
  asio::awaitable<void> Accept();
  asio::awaitable<void> ServeConnection(Tcp::socket socket);
  asio::awaitable<void> Serve(AnyStream& stream, std::string remote);
  asio::awaitable<error_code> ReadHead(AnyStream& stream, beast::flat_buffer& buffer,
                                       HeadParser& parser);
  asio::awaitable<error_code> ReadBody(AnyStream& stream, beast::flat_buffer& buffer,
                                       BodyParser& parser);
  asio::awaitable<Reply> RunOnWorker(std::shared_ptr<Dispatcher::Admission> admission,
                                     std::string body);
  asio::awaitable<bool> Write(AnyStream& stream, Reply& reply, bool keep_alive, bool head_only);
  asio::awaitable<bool> WriteStream(AnyStream& stream, Reply& reply, bool head_only);
  asio::awaitable<void> WriteWebSocket(AnyStream& stream,
                                       const http::request<http::string_body>& request,
                                       Reply& reply);
  using Deadline = std::chrono::steady_clock::time_point;
  // The next piece of a stream; nullopt at its end, at the deadline, when we stop, or when no
  // thread is free for it.
  asio::awaitable<std::optional<std::string>> Next(std::shared_ptr<BodyStream> source,
                                                   Deadline end);
};

Result<void> HttpServer::Impl::Listen() {
  FAULTLINE_ASSIGN(const Address where, ParseAddress(options.listen));
  error_code error;
  const auto ip = asio::ip::make_address(where.host, error);
  if (error) {
    return Fail(ErrorCode::kInvalidArgument, "http.listen '{}': {} is not an IP address",
                options.listen, where.host);
  }
  if (!ip.is_loopback() && options.tokens.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "http.listen '{}' is not a loopback address: set security.tokens first",
                options.listen);
  }
  const Tcp::endpoint endpoint(ip, where.port);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return Fail(ErrorCode::kUnavailable, "http.listen '{}': {}", options.listen, error.message());
  }
  port = acceptor.local_endpoint().port();
  address = ip.is_v6() ? fmt::format("[{}]:{}", ip.to_string(), port)
                       : fmt::format("{}:{}", ip.to_string(), port);
  if (options.tls_certificate.empty() != options.tls_key.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "http.tls_certificate and http.tls_key go together");
  }
  use_tls = !options.tls_certificate.empty();
  if (!use_tls) return {};
  tls.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                      asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 |
                      asio::ssl::context::no_tlsv1_1,
                  error);
  tls.use_certificate_chain_file(options.tls_certificate, error);
  if (error) {
    return Fail(ErrorCode::kInvalidArgument, "http.tls_certificate {}: {}", options.tls_certificate,
                error.message());
  }
  tls.use_private_key_file(options.tls_key, asio::ssl::context::pem, error);
  if (error) {
    return Fail(ErrorCode::kInvalidArgument, "http.tls_key {}: {}", options.tls_key,
                error.message());
  }
  return {};
}

asio::awaitable<void> HttpServer::Impl::Accept() {
  asio::steady_timer pause(io);
  while (!stopping) {
    error_code error;
    Tcp::socket socket(asio::make_strand(io));
    co_await acceptor.async_accept(socket, Catch(error));
    if (error) {
      if (stopping || error == asio::error::operation_aborted) co_return;
      // Out of descriptors: connections that end free some.
      dispatcher->Refused("accept_failed");
      pause.expires_after(Milliseconds(50));
      co_await pause.async_wait(Catch(error));
      continue;
    }
    if (connections >= options.max_connections) {
      dispatcher->Refused("too_many_connections");
      static constexpr std::string_view kBusy =
          "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: "
          "0\r\nRetry-After: 1\r\n\r\n";
      socket.non_blocking(true, error);
      socket.write_some(asio::buffer(kBusy), error);
      continue;
    }
    const auto executor = socket.get_executor();
    asio::co_spawn(executor, ServeConnection(std::move(socket)), asio::detached);
  }
}

namespace {

std::string RemoteOf(const Tcp::socket& socket) {
  error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  return error ? std::string()
               : fmt::format("{}:{}", endpoint.address().to_string(), endpoint.port());
}

}  // namespace

asio::awaitable<void> HttpServer::Impl::ServeConnection(Tcp::socket socket) {
  const Held held(connections);
  std::string remote = RemoteOf(socket);
  error_code error;
  socket.set_option(Tcp::no_delay(true), error);
  const std::unique_ptr<AnyStream> stream =
      use_tls ? AnyStream::Tls(std::move(socket), tls) : AnyStream::Plain(std::move(socket));
  stream->ExpiresAfter(Milliseconds(options.header_timeout_ms));
  error = co_await stream->Handshake();
  if (error) {
    dispatcher->Refused("tls_handshake");
    co_return;
  }
  co_await Serve(*stream, std::move(remote));
  stream->ExpiresAfter(Milliseconds(1000));
  co_await stream->Shutdown();
}

asio::awaitable<error_code> HttpServer::Impl::ReadHead(AnyStream& stream,
                                                       beast::flat_buffer& buffer,
                                                       HeadParser& parser) {
  error_code error;
  stream.ExpiresAfter(Milliseconds(options.idle_timeout_ms));
  co_await http::async_read_some(stream, buffer, parser, Catch(error));
  if (error || parser.is_header_done()) co_return error;
  stream.ExpiresAfter(Milliseconds(options.header_timeout_ms));
  co_await http::async_read_header(stream, buffer, parser, Catch(error));
  co_return error;
}

asio::awaitable<error_code> HttpServer::Impl::ReadBody(AnyStream& stream,
                                                       beast::flat_buffer& buffer,
                                                       BodyParser& parser) {
  error_code error;
  stream.ExpiresAfter(Milliseconds(options.body_timeout_ms));
  if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await asio::async_write(stream, asio::buffer(kContinue), Catch(error));
    if (error) co_return error;
  }
  co_await http::async_read(stream, buffer, parser, Catch(error));
  co_return error;
}

asio::awaitable<void> HttpServer::Impl::Serve(AnyStream& stream, std::string remote) {
  beast::flat_buffer buffer(options.max_header_bytes + (size_t{64} << 10));
  for (bool keep_alive = true; keep_alive && !stopping;) {
    HeadParser head_parser;
    head_parser.header_limit(options.max_header_bytes);
    head_parser.body_limit(options.max_body_bytes);
    error_code error = co_await ReadHead(stream, buffer, head_parser);
    if (error) {
      if (error == beast::error::timeout) dispatcher->Refused("timeout");
      if (auto refusal = HeadRefusal(error)) {
        dispatcher->Refused(error.message());
        co_await Write(stream, *refusal, false, false);
      }
      co_return;
    }
    const Held held(requests);
    auto admission =
        std::make_shared<Dispatcher::Admission>(dispatcher->Admit(HeadOf(head_parser, remote)));
    const bool head_only = admission->request.method == "HEAD";
    BodyParser parser(std::move(head_parser));
    keep_alive = parser.get().keep_alive();
    Reply reply;
    if (admission->refusal) {
      reply = std::move(*admission->refusal);
      keep_alive = keep_alive && parser.is_done();  // nobody reads the body, so the connection ends
    } else {
      error = co_await ReadBody(stream, buffer, parser);
      if (error == http::error::body_limit) {
        reply = RefusalReply(admission->error_form, 413,
                             fmt::format("body is larger than {} bytes", options.max_body_bytes));
        keep_alive = false;
      } else if (error) {
        dispatcher->Refused(error == beast::error::timeout ? "timeout" : "body");
        co_return;
      } else {
        reply = co_await RunOnWorker(admission, std::move(parser.get().body()));
      }
    }
    dispatcher->Finish(*admission, reply.status);
    if (reply.web_socket && reply.stream != nullptr && beast::websocket::is_upgrade(parser.get())) {
      co_await WriteWebSocket(stream, parser.get(), reply);
      co_return;
    }
    if (!co_await Write(stream, reply, keep_alive, head_only)) co_return;
  }
}

asio::awaitable<Reply> HttpServer::Impl::RunOnWorker(
    std::shared_ptr<Dispatcher::Admission> admission, std::string body) {
  const auto executor = co_await asio::this_coro::executor;
  auto pending = std::make_shared<Pending<Reply>>(executor);
  pending->done.expires_after(Milliseconds(options.request_timeout_ms + 250));
  Dispatcher* const run = dispatcher.get();
  WorkerPool::Job job = [run, admission, pending, executor, text = std::move(body)]() mutable {
    pending->value = run->Run(*admission, std::move(text));
    asio::post(executor, [pending] {
      pending->finished = true;
      pending->done.cancel();
    });
  };
  WorkerPool& pool = admission->route->ingest ? ingest_workers : workers;
  if (!pool.TryRun(std::move(job))) {
    dispatcher->Refused("queue_full");
    Reply busy =
        RefusalReply(admission->error_form, 503, "too many requests are waiting; try again");
    busy.headers.emplace_back("Retry-After", "1");
    co_return busy;
  }
  error_code ignored;
  if (!pending->finished) co_await pending->done.async_wait(Catch(ignored));
  if (!pending->finished) {
    co_return RefusalReply(admission->error_form,
                           admission->error_form == ErrorForm::kPrometheus ? 503 : 504,
                           "the request took longer than its deadline");
  }
  co_return std::move(pending->value);
}

asio::awaitable<bool> HttpServer::Impl::Write(AnyStream& stream, Reply& reply, bool keep_alive,
                                              bool head_only) {
  if (reply.stream != nullptr) co_return co_await WriteStream(stream, reply, head_only);
  http::response<http::string_body> response;
  FillHead(response, reply, keep_alive);
  response.body() = std::move(reply.body);
  if (reply.status != 204 && reply.status != 304) response.prepare_payload();
  error_code error;
  stream.ExpiresAfter(Milliseconds(options.write_timeout_ms));
  http::response_serializer<http::string_body> serializer(response);
  if (head_only) {
    co_await http::async_write_header(stream, serializer, Catch(error));
  } else {
    co_await http::async_write(stream, serializer, Catch(error));
  }
  co_return !error && keep_alive;
}

asio::awaitable<bool> HttpServer::Impl::WriteStream(AnyStream& stream, Reply& reply,
                                                    bool head_only) {
  const Held held(open_streams);
  error_code error;
  if (open_streams > options.max_streams) {
    dispatcher->Refused("too_many_streams");
    Reply busy = RefusalReply(ErrorForm::kPrometheus, 503, "too many streams are open");
    co_return co_await Write(stream, busy, false, false);
  }
  http::response<http::empty_body> response;
  FillHead(response, reply, false);
  response.chunked(true);
  stream.ExpiresAfter(Milliseconds(options.write_timeout_ms));
  http::response_serializer<http::empty_body> serializer(response);
  co_await http::async_write_header(stream, serializer, Catch(error));
  if (error || head_only) co_return false;
  const Deadline end = std::chrono::steady_clock::now() + Milliseconds(options.stream_timeout_ms);
  const std::shared_ptr<BodyStream> source = std::move(reply.stream);
  while (const std::optional<std::string> piece = co_await Next(source, end)) {
    if (piece->empty()) {
      // Nothing to write tells nothing about the client; a closed connection reads as zero bytes.
      if (stream.ClientIsGone()) co_return false;
      continue;
    }
    stream.ExpiresAfter(Milliseconds(options.write_timeout_ms));
    co_await asio::async_write(stream, http::make_chunk(asio::buffer(*piece)), Catch(error));
    if (error) co_return false;
  }
  stream.ExpiresAfter(Milliseconds(options.write_timeout_ms));
  co_await asio::async_write(stream, http::make_chunk_last(), Catch(error));
  co_return false;
}

asio::awaitable<std::optional<std::string>> HttpServer::Impl::Next(
    std::shared_ptr<BodyStream> source, Deadline end) {
  if (stopping || std::chrono::steady_clock::now() >= end) co_return std::nullopt;
  const auto executor = co_await asio::this_coro::executor;
  auto pending = std::make_shared<Pending<std::optional<std::string>>>(executor);
  pending->done.expires_at(end);
  WorkerPool::Job job = [source, pending, executor] {
    pending->value = source->Next();
    asio::post(executor, [pending] {
      pending->finished = true;
      pending->done.cancel();
    });
  };
  if (!streams.TryRun(std::move(job))) co_return std::nullopt;
  error_code ignored;
  if (!pending->finished) co_await pending->done.async_wait(Catch(ignored));
  if (!pending->finished) co_return std::nullopt;
  co_return std::move(pending->value);
}

asio::awaitable<void> HttpServer::Impl::WriteWebSocket(
    AnyStream& stream, const http::request<http::string_body>& request, Reply& reply) {
  const Held held(open_streams);
  if (open_streams > options.max_streams) {
    dispatcher->Refused("too_many_streams");
    Reply busy = RefusalReply(ErrorForm::kPrometheus, 503, "too many streams are open");
    co_await Write(stream, busy, false, false);
    co_return;
  }
  const Deadline end = std::chrono::steady_clock::now() + Milliseconds(options.stream_timeout_ms);
  const NextMessage next = [this, end,
                            source = std::shared_ptr<BodyStream>(std::move(reply.stream))]()
      -> asio::awaitable<std::optional<std::string>> { return Next(source, end); };
  co_await SendMessages(stream, request, Milliseconds(options.write_timeout_ms), next);
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() { Stop(); }

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                      std::span<const Route> routes,
                                                      ApiContext* context) {
  auto impl = std::make_unique<Impl>(options, context);
  const DispatcherOptions dispatcher_options = {options.tokens, options.max_body_bytes,
                                                options.request_timeout_ms * kNsPerMs};
  FAULTLINE_ASSIGN(impl->dispatcher, Dispatcher::Make(dispatcher_options, routes, context));
  FAULTLINE_TRY(impl->Listen());
  asio::co_spawn(impl->io, impl->Accept(), asio::detached);
  for (size_t i = 0; i < options.io_threads; ++i) {
    impl->threads.emplace_back([io = &impl->io] { io->run(); });
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

std::string HttpServer::address() const { return impl_->address; }

uint16_t HttpServer::port() const { return impl_->port; }

void HttpServer::Stop() {
  if (impl_->stopping.exchange(true)) return;
  asio::post(impl_->io, [impl = impl_.get()] {
    error_code ignored;
    impl->acceptor.close(ignored);
  });
  for (int i = 0; i < 200 && impl_->requests > 0; ++i)
    std::this_thread::sleep_for(Milliseconds(10));
  impl_->io.stop();
  impl_->threads.clear();
  impl_->workers.Stop();
  impl_->ingest_workers.Stop();
  impl_->streams.Stop();
}

}  // namespace faultline
