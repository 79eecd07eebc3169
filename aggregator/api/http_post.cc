#include "aggregator/api/http_post.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <chrono>
#include <optional>

namespace faultline {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Tcp = asio::ip::tcp;

constexpr uint64_t kMaxReplyBytes = 64 << 10;

struct Address {
  bool tls = false;
  std::string host, port, target;
};

Result<Address> ParseUrl(const std::string& url) {
  Address address;
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    address.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return Fail(ErrorCode::kInvalidArgument, "{}: neither http:// nor https://", url);
  }
  const size_t slash = rest.find('/');
  address.target = slash == std::string_view::npos ? "/" : std::string(rest.substr(slash));
  rest = rest.substr(0, slash);
  const size_t colon = rest.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && rest.find(']', colon) == std::string_view::npos;
  address.host = rest.substr(0, has_port ? colon : rest.size());
  address.port = has_port ? std::string(rest.substr(colon + 1)) : (address.tls ? "443" : "80");
  if (address.host.size() > 2 && address.host.front() == '[')
    address.host = address.host.substr(1, address.host.size() - 2);
  if (address.host.empty()) return Fail(ErrorCode::kInvalidArgument, "{}: no host", url);
  return address;
}

// Asynchronous steps on a context of its own, so that the limit ends whatever step it is in.
template <typename Stream, typename Handshake>
beast::error_code Exchange(asio::io_context& context, Stream& stream, beast::tcp_stream& lowest,
                           const Address& address, const http::request<http::string_body>& request,
                           http::response<http::string_body>& response,
                           std::chrono::nanoseconds limit, Handshake handshake) {
  Tcp::resolver resolver(context);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMaxReplyBytes);
  beast::error_code result = asio::error::timed_out;
  lowest.expires_after(limit);
  resolver.async_resolve(
      address.host, address.port,
      [&](beast::error_code error, const Tcp::resolver::results_type& found) {
        if (error) return void(result = error);
        lowest.async_connect(found, [&](beast::error_code connect_error, const Tcp::endpoint&) {
          if (connect_error) return void(result = connect_error);
          handshake([&](beast::error_code handshake_error) {
            if (handshake_error) return void(result = handshake_error);
            http::async_write(stream, request, [&](beast::error_code write_error, size_t) {
              if (write_error) return void(result = write_error);
              http::async_read(stream, buffer, parser,
                               [&](beast::error_code read_error, size_t) { result = read_error; });
            });
          });
        });
      });
  context.run_for(limit + std::chrono::milliseconds(100));
  lowest.cancel();
  resolver.cancel();
  context.restart();
  context.run_for(std::chrono::milliseconds(100));
  if (!result) response = parser.release();
  return result;
}

}  // namespace

Result<void> HttpPost(const std::string& url, const std::string& token, const std::string& body,
                      int64_t limit_ns) {
  FAULTLINE_ASSIGN(const Address address, ParseUrl(url));
  http::request<http::string_body> request(http::verb::post, address.target, 11);
  request.set(http::field::host, address.host);
  request.set(http::field::user_agent, "faultline");
  request.set(http::field::content_type, "application/json");
  request.set(http::field::connection, "close");
  if (!token.empty()) request.set(http::field::authorization, "Bearer " + token);
  request.body() = body;
  request.prepare_payload();
  http::response<http::string_body> response;
  const std::chrono::nanoseconds limit(limit_ns);
  asio::io_context context;
  beast::error_code error;
  try {
    if (!address.tls) {
      beast::tcp_stream stream(context);
      error = Exchange(context, stream, stream, address, request, response, limit,
                       [](auto next) { next(beast::error_code()); });
    } else {
      asio::ssl::context tls(asio::ssl::context::tls_client);
      tls.set_default_verify_paths();
      tls.set_verify_mode(asio::ssl::verify_peer);
      beast::ssl_stream<beast::tcp_stream> stream(context, tls);
      SSL_set_tlsext_host_name(stream.native_handle(), address.host.c_str());
      stream.set_verify_callback(asio::ssl::host_name_verification(address.host));
      error = Exchange(
          context, stream, beast::get_lowest_layer(stream), address, request, response, limit,
          [&](auto next) { stream.async_handshake(asio::ssl::stream_base::client, next); });
    }
  } catch (const std::exception& e) {
    return Fail(ErrorCode::kUnavailable, "POST {}: {}", url, e.what());
  }
  if (error) return Fail(ErrorCode::kUnavailable, "POST {}: {}", url, error.message());
  const unsigned status = response.result_int();
  if (status < 200 || status > 299)
    return Fail(ErrorCode::kUnavailable, "POST {}: HTTP status {}", url, status);
  return {};
}

}  // namespace faultline
