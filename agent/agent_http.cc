#include "agent/agent_http.h"

#include <optional>

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
#include "common/loopback.h"

namespace faultline {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Failure = boost::system::error_code;

namespace {

constexpr uint32_t kMaxHeaderBytes = 16384;
constexpr auto kTimeout = std::chrono::seconds(15);
constexpr auto kIdleTimeout = std::chrono::seconds(90);
constexpr auto kLinger = std::chrono::seconds(1);
constexpr size_t kMaxLingerBytes = size_t{64} << 20;
constexpr size_t kReadBytes = size_t{64} << 10;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

using Request = http::request<http::string_body>;
using Reply = http::response<http::string_body>;

}  // namespace

struct AgentHttp::Impl {
  explicit Impl(asio::io_context& context) : acceptor(context) {}
  tcp::acceptor acceptor;
  Options options;
  size_t connections = 0;
  size_t bodies = 0;
  bool stopped = false;

  bool MayCome(const Request& request, const std::string& path) const {
    if (!options.authorize || path == "/healthz" || path == "/readyz") return true;
    constexpr std::string_view kScheme = "Bearer ";
    const auto value = request[http::field::authorization];
    const std::string_view given(value.data(), value.size());
    return given.starts_with(kScheme) && options.authorize(given.substr(kScheme.size()));
  }

  // Where all may come, a page elsewhere on the web may make a browser come: its name for us is not
  // a local one.
  bool IsForeign(const Request& request) const {
    const auto local = [&](http::field field) {
      std::string_view value(request[field].data(), request[field].size());
      for (const std::string_view scheme : {"http://", "https://"}) {
        if (value.starts_with(scheme)) value.remove_prefix(scheme.size());
      }
      return value.empty() || IsLoopback(value);
    };
    return !options.authorize && !(local(http::field::host) && local(http::field::origin));
  }

  // What can be said without the body; nullopt for a receiver's.
  std::optional<Page> Answer(const Request& request, const std::string& path) const {
    const bool get = request.method() == http::verb::get || request.method() == http::verb::head;
    const auto at = options.pages.find(path);
    const bool receives = options.receivers.contains(path);
    if (IsForeign(request))
      return Page{.status = 403, .body = "only local names are answered (Host, Origin)\n"};
    if (!MayCome(request, path)) return Page{.status = 401, .body = "a bearer token is needed\n"};
    if (get && at != options.pages.end()) return at->second();
    if (receives && request.method() == http::verb::post) return std::nullopt;
    if (receives) return Page{.status = 405, .body = "only POST\n"};
    if (!get && (at != options.pages.end() || options.receivers.empty())) {
      return Page{.status = 405, .body = "only GET and HEAD\n"};
    }
    Page page{.status = 404, .body = "no such page; there are:\n"};
    for (const auto& [name, make] : options.pages) page.body += name + "\n";
    for (const auto& [name, receiver] : options.receivers) page.body += name + "\n";
    return page;
  }
};

namespace {

struct Waiting {
  explicit Waiting(const asio::any_io_executor& executor) : wake(executor) {}
  asio::steady_timer wake;
  std::optional<Page> page;
};

Reply ReplyOf(const Request& request, Page page) {
  Reply reply(static_cast<http::status>(page.status), request.version());
  reply.set(http::field::content_type, page.content_type);
  reply.set(http::field::cache_control, "no-store");
  if (page.status == 401) reply.set(http::field::www_authenticate, "Bearer");
  if (page.retry_after_s != 0)
    reply.set(http::field::retry_after, std::to_string(page.retry_after_s));
  const size_t size = page.body.size();
  if (request.method() != http::verb::head) reply.body() = std::move(page.body);
  reply.content_length(size);
  return reply;
}

// Free functions, not lambdas: their parameters live in the coroutine.
template <typename Impl>
asio::awaitable<Page> Receive(std::shared_ptr<Impl> impl, Posted posted) {
  const auto at = impl->options.receivers.find(posted.path);
  if (at == impl->options.receivers.end()) co_return Page{.status = 503, .body = "stopping\n"};
  auto waiting = std::make_shared<Waiting>(impl->acceptor.get_executor());
  waiting->wake.expires_after(kTimeout);
  at->second(std::move(posted), [waiting](Page page) {
    waiting->page = std::move(page);
    waiting->wake.cancel();
  });
  Failure ignored;
  if (!waiting->page)
    co_await waiting->wake.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  if (!waiting->page) co_return Page{.status = 503, .body = "not now\n", .retry_after_s = 1};
  co_return *std::move(waiting->page);
}

// One request; whether the connection goes on.
template <typename Impl>
asio::awaitable<bool> ServeOne(std::shared_ptr<Impl> impl, beast::tcp_stream& stream,
                               beast::flat_buffer& buffer) {
  Failure failure;
  auto token = asio::redirect_error(asio::use_awaitable, failure);
  http::request_parser<http::string_body> parser;
  parser.header_limit(kMaxHeaderBytes);
  parser.body_limit(impl->options.max_body_bytes);
  co_await http::async_read_header(stream, buffer, parser, token);
  stream.expires_after(kTimeout);
  std::string path(parser.get().target());
  if (const size_t query = path.find('?'); query != std::string::npos) path.resize(query);
  std::optional<Page> page;
  if (!failure) page = impl->Answer(parser.get(), path);
  const bool full = !failure && !page && impl->bodies >= impl->options.max_bodies;
  if (full) page = Page{.status = 503, .body = "too many requests at a time\n", .retry_after_s = 1};
  const bool receives = !failure && !page;
  if (receives) ++impl->bodies;
  const bool read = !failure && (!page || parser.get().method() != http::verb::post);
  if (read) co_await http::async_read(stream, buffer, parser, token);
  const bool too_large = failure == http::error::body_limit;
  if (too_large) {
    page = Page{.status = 413,
                .body = "the body is longer than " + std::to_string(impl->options.max_body_bytes) +
                        " bytes\n"};
  } else if (!failure && receives) {
    Posted posted;
    posted.path = path;
    posted.content_type = std::string(parser.get()[http::field::content_type]);
    posted.content_encoding = std::string(parser.get()[http::field::content_encoding]);
    posted.body = std::move(parser.get().body());
    page = co_await Receive(impl, std::move(posted));
  }
  if (receives) --impl->bodies;
  if (failure && !too_large) co_return false;
  Reply reply = ReplyOf(parser.get(), *std::move(page));
  // Nobody reads the rest of a body that was not taken.
  const bool keep = parser.get().keep_alive() && read && !too_large;
  reply.keep_alive(keep);
  stream.expires_after(kTimeout);
  co_await http::async_write(stream, reply, token);
  co_return !failure && keep;
}

template <typename Impl>
asio::awaitable<void> Serve(std::shared_ptr<Impl> impl, beast::tcp_stream stream) {
  beast::flat_buffer buffer;
  stream.expires_after(kTimeout);
  while (!impl->stopped && co_await ServeOne(impl, stream, buffer))
    stream.expires_after(kIdleTimeout);
  Failure failure;
  stream.socket().shutdown(tcp::socket::shutdown_send, failure);
  // A close with bytes unread is a reset, and the client may lose our answer with it.
  stream.expires_after(kLinger);
  for (size_t bytes = 0; !failure && bytes < kMaxLingerBytes;) {
    buffer.clear();
    bytes += co_await stream.async_read_some(buffer.prepare(kReadBytes),
                                             asio::redirect_error(asio::use_awaitable, failure));
  }
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
    if (impl->connections >= impl->options.max_connections) continue;  // closed
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
  impl_->options.pages.clear();
  impl_->options.receivers.clear();
}

Result<std::unique_ptr<AgentHttp>> AgentHttp::Start(EventLoop* loop, Options options) {
  const std::string listen = options.listen;
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos) {
    return Fail(ErrorCode::kInvalidArgument, "'{}' is not host:port", listen);
  }
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  auto impl = std::make_shared<Impl>(loop->context());
  impl->options = std::move(options);
  try {
    tcp::resolver resolver(loop->context());
    const auto found =
        resolver.resolve(host, listen.substr(colon + 1), tcp::resolver::numeric_service);
    const tcp::endpoint endpoint = found.begin()->endpoint();
    impl->acceptor.open(endpoint.protocol());
    impl->acceptor.set_option(tcp::acceptor::reuse_address(true));
    impl->acceptor.bind(endpoint);
    impl->acceptor.listen();
  } catch (const boost::system::system_error& e) {
    return Fail(ErrorCode::kUnavailable, "{}: {}", listen, e.code().message());
  }
  asio::co_spawn(impl->acceptor.get_executor(), Accept(impl), asio::detached);
  return std::unique_ptr<AgentHttp>(new AgentHttp(std::move(impl)));
}

std::string AgentHttp::address() const {
  Failure ignored;
  const tcp::endpoint endpoint = impl_->acceptor.local_endpoint(ignored);
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" +
         std::to_string(endpoint.port());
}

}  // namespace faultline
