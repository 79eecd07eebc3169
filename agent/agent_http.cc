#include "agent/agent_http.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "common/log.h"
#include "common/text.h"

namespace faultline {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Failure = boost::system::error_code;

namespace {

constexpr size_t kMaxConnections = 64;
constexpr uint32_t kMaxHeaderBytes = 16384;
constexpr uint64_t kMaxBodyBytes = 4096;  // of a GET: nothing we read
constexpr auto kTimeout = std::chrono::seconds(15);
constexpr auto kIdleTimeout = std::chrono::seconds(90);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

using Request = http::request<http::string_body>;
using Reply = http::response<http::string_body>;

}  // namespace

struct AgentHttp::Impl {
  explicit Impl(asio::io_context& context) : acceptor(context) {}
  tcp::acceptor acceptor;
  Pages pages;
  Authorize authorize;
  size_t connections = 0;
  bool stopped = false;

  bool MayRead(const Request& request, const std::string& path) const {
    if (!authorize || path == "/healthz" || path == "/readyz") return true;
    constexpr std::string_view kScheme = "Bearer ";
    const auto value = request[http::field::authorization];
    const std::string_view given(value.data(), value.size());
    return given.starts_with(kScheme) && authorize(given.substr(kScheme.size()));
  }

  Reply Answer(const Request& request) const {
    std::string path(request.target());
    if (const size_t query = path.find('?'); query != std::string::npos) path.resize(query);
    Page page;
    const auto at = pages.find(path);
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      page = {.status = 405, .body = "only GET and HEAD\n"};
    } else if (!MayRead(request, path)) {
      page = {.status = 401, .body = "a bearer token is needed\n"};
    } else if (at == pages.end()) {
      page = {.status = 404, .body = "no such page; there are:\n"};
      for (const auto& [name, make] : pages) page.body += name + "\n";
    } else {
      page = at->second();
    }
    Reply reply(static_cast<http::status>(page.status), request.version());
    reply.set(http::field::content_type, page.content_type);
    reply.set(http::field::cache_control, "no-store");
    if (page.status == 401) reply.set(http::field::www_authenticate, "Bearer");
    reply.keep_alive(request.keep_alive());
    const size_t size = page.body.size();
    if (request.method() != http::verb::head) reply.body() = std::move(page.body);
    reply.content_length(size);
    return reply;
  }
};

namespace {

// Free functions, not lambdas: their parameters live in the coroutine.
template <typename Impl>
asio::awaitable<void> Serve(std::shared_ptr<Impl> impl, beast::tcp_stream stream) {
  beast::flat_buffer buffer;
  Failure failure;
  auto token = asio::redirect_error(asio::use_awaitable, failure);
  stream.expires_after(kTimeout);
  while (!impl->stopped) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(kMaxHeaderBytes);
    parser.body_limit(kMaxBodyBytes);
    co_await http::async_read(stream, buffer, parser, token);
    if (failure) break;
    Reply reply = impl->Answer(parser.get());
    const bool keep = reply.keep_alive();
    stream.expires_after(kTimeout);
    co_await http::async_write(stream, reply, token);
    if (failure || !keep) break;
    stream.expires_after(kIdleTimeout);
  }
  stream.socket().shutdown(tcp::socket::shutdown_send, failure);
  --impl->connections;
}

template <typename Impl>
asio::awaitable<void> Accept(std::shared_ptr<Impl> impl) {
  const auto executor = impl->acceptor.get_executor();
  asio::steady_timer pause(executor);
  while (!impl->stopped) {
    Failure failure;
    tcp::socket socket =
        co_await impl->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, failure));
    if (failure == asio::error::operation_aborted) co_return;
    if (failure) {
      // Out of descriptors, most likely: let some connections end.
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, failure));
      continue;
    }
    if (impl->connections >= kMaxConnections) continue;  // closed
    ++impl->connections;
    asio::co_spawn(executor, Serve(impl, beast::tcp_stream(std::move(socket))), asio::detached);
  }
}

}  // namespace

AgentHttp::AgentHttp(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

AgentHttp::~AgentHttp() {
  impl_->stopped = true;
  Failure ignored;
  impl_->acceptor.close(ignored);
  // Connections may outlive us until the loop ends; the pages they would ask for may not.
  impl_->pages.clear();
}

Result<std::unique_ptr<AgentHttp>> AgentHttp::Start(EventLoop* loop, const std::string& listen,
                                                    Authorize authorize, Pages pages) {
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos) {
    return Fail(ErrorCode::kInvalidArgument, "http.listen: '{}' is not host:port", listen);
  }
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  auto impl = std::make_shared<Impl>(loop->context());
  impl->pages = std::move(pages);
  impl->authorize = std::move(authorize);
  try {
    tcp::resolver resolver(loop->context());
    const auto found = resolver.resolve(host, listen.substr(colon + 1), tcp::resolver::numeric_service);
    const tcp::endpoint endpoint = found.begin()->endpoint();
    impl->acceptor.open(endpoint.protocol());
    impl->acceptor.set_option(tcp::acceptor::reuse_address(true));
    impl->acceptor.bind(endpoint);
    impl->acceptor.listen();
  } catch (const boost::system::system_error& e) {
    return Fail(ErrorCode::kUnavailable, "http.listen: {}: {}", listen, e.code().message());
  }
  asio::co_spawn(impl->acceptor.get_executor(), Accept(impl), asio::detached);
  return std::unique_ptr<AgentHttp>(new AgentHttp(std::move(impl)));
}

std::string AgentHttp::address() const {
  Failure ignored;
  const tcp::endpoint endpoint = impl_->acceptor.local_endpoint(ignored);
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}

}  // namespace faultline
