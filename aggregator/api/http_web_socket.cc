#include "aggregator/api/http_web_socket.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>

namespace faultline {

namespace asio = boost::asio;
namespace beast = boost::beast;

asio::awaitable<void> SendMessages(AnyStream& stream,
                                   const beast::http::request<beast::http::string_body>& request,
                                   std::chrono::milliseconds write_timeout, NextMessage next) {
  constexpr size_t kMaxClientMessageBytes = 4096;
  boost::system::error_code error;
  auto caught = asio::redirect_error(asio::use_awaitable, error);
  beast::websocket::stream<AnyStream&> socket(stream);
  socket.read_message_max(kMaxClientMessageBytes);
  socket.text(true);
  stream.ExpiresAfter(write_timeout);
  co_await socket.async_accept(request, caught);
  beast::flat_buffer ignored;
  while (!error) {
    const std::optional<std::string> message = co_await next();
    if (!message) break;
    stream.ExpiresAfter(write_timeout);
    if (!message->empty()) co_await socket.async_write(asio::buffer(*message), caught);
    if (error || stream.ClientIsGone()) co_return;
    if (!stream.Readable()) continue;
    co_await socket.async_read_some(ignored, kMaxClientMessageBytes, caught);
    ignored.clear();
  }
  if (error) co_return;
  stream.ExpiresAfter(std::chrono::seconds(1));
  co_await socket.async_close(beast::websocket::close_code::normal, caught);
}

}  // namespace faultline
