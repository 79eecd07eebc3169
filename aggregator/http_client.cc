#include "aggregator/http_client.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <optional>

namespace faultline {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Tcp = asio::ip::tcp;

struct Url {
  bool tls = false;
  std::string host, port, target;
};

Result<Url> ParseUrl(std::string_view text) {
  Url url;
  std::string_view rest = text;
  url.tls = rest.starts_with("https://");
  if (!url.tls && !rest.starts_with("http://"))
    return Fail(ErrorCode::kInvalidArgument, "'{}' begins neither with http:// nor https://", text);
  rest.remove_prefix(url.tls ? 8 : 7);
  const size_t slash = rest.find_first_of("/?");
  url.target = slash == std::string_view::npos ? "/" : std::string(rest.substr(slash));
  if (url.target[0] == '?') url.target.insert(0, "/");
  rest = rest.substr(0, slash);
  if (rest.find('@') != std::string_view::npos)
    return Fail(ErrorCode::kInvalidArgument, "a URL with a user in it is not taken: credentials belong into a file");
  const size_t colon = rest.rfind(':');
  const bool has_port = colon != std::string_view::npos && rest.find(']', colon) == std::string_view::npos;
  url.host = rest.substr(0, has_port ? colon : rest.size());
  url.port = has_port ? std::string(rest.substr(colon + 1)) : url.tls ? "443" : "80";
  if (url.host.size() > 2 && url.host.front() == '[') url.host = url.host.substr(1, url.host.size() - 2);
  if (url.host.empty() || url.target.find_first_of(" \r\n") != std::string::npos)
    return Fail(ErrorCode::kInvalidArgument, "'{}' is no URL", text);
  return url;
}

http::request<http::string_body> RequestOf(const HttpCall& call, const Url& url) {
  http::request<http::string_body> request;
  request.method_string(call.method);
  request.target(url.target);
  request.version(11);
  request.set(http::field::host, url.host + ":" + url.port);
  request.set(http::field::user_agent, "faultline");
  request.set(http::field::connection, "close");
  for (const auto& [name, value] : call.headers) request.set(name, value);
  request.body() = call.body;
  request.prepare_payload();
  return request;
}

template <typename Stream>
asio::awaitable<void> Exchange(Stream& stream, const http::request<http::string_body>& request, uint64_t max_bytes,
                               HttpAnswer& answer) {
  co_await http::async_write(stream, request, asio::use_awaitable);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(max_bytes);
  co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
  answer.status = parser.get().result_int();
  answer.retry_after = std::string(parser.get()[http::field::retry_after]);
  answer.body = std::move(parser.get().body());
}

asio::awaitable<void> Call(const HttpCall& call, const Url& url, HttpAnswer& answer) {
  const auto executor = co_await asio::this_coro::executor;
  Tcp::resolver resolver(executor);
  const auto endpoints = co_await resolver.async_resolve(url.host, url.port, asio::use_awaitable);
  const auto request = RequestOf(call, url);
  if (!url.tls) {
    beast::tcp_stream stream(executor);
    stream.expires_after(std::chrono::nanoseconds(call.timeout_ns));
    co_await stream.async_connect(endpoints, asio::use_awaitable);
    co_await Exchange(stream, request, call.max_reply_bytes, answer);
    co_return;
  }
  asio::ssl::context tls(asio::ssl::context::tls_client);
  tls.set_default_verify_paths();
  tls.set_verify_mode(asio::ssl::verify_peer);
  beast::ssl_stream<beast::tcp_stream> stream(executor, tls);
  SSL_set_tlsext_host_name(stream.native_handle(), url.host.c_str());
  stream.set_verify_callback(asio::ssl::host_name_verification(url.host));
  beast::get_lowest_layer(stream).expires_after(std::chrono::nanoseconds(call.timeout_ns));
  co_await beast::get_lowest_layer(stream).async_connect(endpoints, asio::use_awaitable);
  co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
  co_await Exchange(stream, request, call.max_reply_bytes, answer);
}

}  // namespace

Result<void> CheckHttpUrl(std::string_view url) {
  FAULTLINE_TRY(ParseUrl(url));
  return {};
}

Result<HttpAnswer> CallHttp(const HttpCall& call) {
  FAULTLINE_ASSIGN(const Url url, ParseUrl(call.url));
  HttpAnswer answer;
  std::exception_ptr failure;
  asio::io_context context;
  asio::co_spawn(context, Call(call, url, answer), [&](std::exception_ptr e) { failure = e; });
  context.run();
  if (!failure) return answer;
  try {
    std::rethrow_exception(failure);
  } catch (const boost::system::system_error& e) {
    const ErrorCode code = e.code() == beast::error::timeout ? ErrorCode::kTimeout : ErrorCode::kUnavailable;
    return Fail(code, "{}: {}", call.url, e.code().message());
  } catch (const std::exception& e) {
    return Fail(ErrorCode::kUnavailable, "{}: {}", call.url, e.what());
  }
}

}  // namespace faultline
