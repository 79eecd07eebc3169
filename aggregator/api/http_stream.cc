#include "aggregator/api/http_stream.h"

#include <sys/socket.h>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/teardown.hpp>

namespace faultline {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using PlainStream = beast::tcp_stream;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

template <typename Stream>
class StreamOf final : public AnyStream {
 public:
  template <typename... Parts>
  explicit StreamOf(Parts&&... parts) : stream_(std::forward<Parts>(parts)...) {}

  executor_type get_executor() override { return stream_.get_executor(); }

  asio::awaitable<error_code> Handshake() override {
    error_code error;
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      co_await stream_.async_handshake(asio::ssl::stream_base::server,
                                       asio::redirect_error(asio::use_awaitable, error));
    }
    co_return error;
  }

  asio::awaitable<void> Shutdown() override {
    error_code error;
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      co_await stream_.async_shutdown(asio::redirect_error(asio::use_awaitable, error));
    } else {
      stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
      co_return;
    }
  }

  void ExpiresAfter(std::chrono::milliseconds after) override { Lowest().expires_after(after); }

  bool ClientIsGone() override { return Peek() == 0; }
  bool Readable() override { return Peek() >= 0; }

 protected:
  void StartRead(asio::mutable_buffer into, Transferred done) override {
    stream_.async_read_some(into, OnStrand(std::move(done)));
  }
  void StartWrite(const Gather& from, Transferred done) override {
    stream_.async_write_some(from, OnStrand(std::move(done)));
  }
  void StartTeardown(beast::role_type role, Done done) override {
    using beast::websocket::async_teardown;
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      async_teardown(role, stream_, OnStrand(std::move(done)));
    } else {
      async_teardown(role, stream_.socket(), OnStrand(std::move(done)));
    }
  }
  void Close() override { Lowest().close(); }

 private:
  // Beast posts to a handler's executor, which the executor that an any_completion_handler tells of
  // cannot do.
  auto OnStrand(auto done) {
    return asio::bind_executor(
        stream_.get_executor(),
        [done = std::move(done)](auto... result) mutable { std::move(done)(result...); });
  }
  beast::tcp_stream& Lowest() { return beast::get_lowest_layer(stream_); }
  ssize_t Peek() {
    char byte = 0;
    return ::recv(Lowest().socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  }
  Stream stream_;
};

}  // namespace

std::unique_ptr<AnyStream> AnyStream::Plain(asio::ip::tcp::socket socket) {
  return std::make_unique<StreamOf<PlainStream>>(std::move(socket));
}

std::unique_ptr<AnyStream> AnyStream::Tls(asio::ip::tcp::socket socket,
                                          asio::ssl::context& context) {
  return std::make_unique<StreamOf<TlsStream>>(beast::tcp_stream(std::move(socket)), context);
}

}  // namespace faultline
