#include "aggregator/cli/api_client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <optional>

namespace faultline::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using Tcp = asio::ip::tcp;

constexpr uint64_t kMaxReplyBytes = uint64_t{1} << 30;

struct Address {
  bool tls = false;
  std::string host, port;
};

Result<Address> ParseServer(const std::string& server) {
  Address address;
  std::string_view rest = server;
  if (rest.starts_with("https://")) {
    address.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (rest.find("://") != std::string_view::npos) {
    return Fail(ErrorCode::kInvalidArgument, "--server {}: neither http:// nor https://", server);
  }
  rest = rest.substr(0, rest.find('/'));
  const size_t colon = rest.rfind(':');
  const bool has_port = colon != std::string_view::npos && rest.find(']', colon) == std::string_view::npos;
  address.host = rest.substr(0, has_port ? colon : rest.size());
  address.port = has_port ? std::string(rest.substr(colon + 1)) : (address.tls ? "443" : "80");
  if (address.host.size() > 2 && address.host.front() == '[') address.host = address.host.substr(1, address.host.size() - 2);
  if (address.host.empty()) return Fail(ErrorCode::kInvalidArgument, "--server {}: no host", server);
  return address;
}

ErrorCode CodeOf(unsigned status) {
  switch (status) {
    case 400:
    case 422:
      return ErrorCode::kInvalidArgument;
    case 401:
    case 403:
      return ErrorCode::kPermissionDenied;
    case 404:
      return ErrorCode::kNotFound;
    case 408:
    case 504:
      return ErrorCode::kTimeout;
    case 413:
    case 429:
      return ErrorCode::kResourceExhausted;
    case 503:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kInternal;
  }
}

// {"status":"error","error":…} or a Kubernetes Status with `message`; else the body itself.
std::string Reason(const std::string& body) {
  boost::system::error_code error;
  const json::value value = json::parse(body, error);
  if (!error && value.is_object()) {
    for (const char* name : {"error", "message"}) {
      const json::value* text = value.get_object().if_contains(name);
      if (text != nullptr && text->is_string()) return std::string(text->get_string());
    }
  }
  return body.substr(0, 500);
}

http::request<http::string_body> MakeRequest(const ApiOptions& options, const Address& address,
                                             std::string_view method, const std::string& target,
                                             const std::string& body, std::string_view content_type) {
  http::request<http::string_body> request(http::string_to_verb({method.data(), method.size()}), target, 11);
  request.set(http::field::host, address.host);
  request.set(http::field::user_agent, "faultline");
  if (!options.token.empty()) request.set(http::field::authorization, "Bearer " + options.token);
  if (!body.empty()) request.set(http::field::content_type, {content_type.data(), content_type.size()});
  request.body() = body;
  request.prepare_payload();
  return request;
}

// Writes the request and feeds the reply's body to `on_body` piece by piece; returns the status.
template <typename Stream>
unsigned Exchange(Stream& stream, const http::request<http::string_body>& request,
                  const std::function<bool(std::string_view)>& on_body) {
  http::write(stream, request);
  beast::flat_buffer buffer;
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(kMaxReplyBytes);
  http::read_header(stream, buffer, parser);
  char piece[16384];
  while (!parser.is_done()) {
    parser.get().body().data = piece;
    parser.get().body().size = sizeof piece;
    boost::system::error_code error;
    http::read_some(stream, buffer, parser, error);
    if (error && error != http::error::need_buffer && error != http::error::end_of_stream) {
      throw boost::system::system_error(error);
    }
    if (!on_body({piece, sizeof piece - parser.get().body().size})) break;
    if (error == http::error::end_of_stream) break;
  }
  return parser.get().result_int();
}

Result<unsigned> Transact(const ApiOptions& options, std::string_view method, const std::string& target,
                          const std::string& body, std::string_view content_type,
                          const std::function<bool(std::string_view)>& on_body) {
  FAULTLINE_ASSIGN(const Address address, ParseServer(options.server));
  const auto request = MakeRequest(options, address, method, target, body, content_type);
  try {
    asio::io_context context;
    Tcp::resolver resolver(context);
    const auto endpoints = resolver.resolve(address.host, address.port);
    if (!address.tls) {
      Tcp::socket socket(context);
      asio::connect(socket, endpoints);
      timeval limit{options.timeout_s, 0};
      setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      return Exchange(socket, request, on_body);
    }
    asio::ssl::context tls(asio::ssl::context::tls_client);
    tls.set_default_verify_paths();
    tls.set_verify_mode(asio::ssl::verify_peer);
    asio::ssl::stream<Tcp::socket> stream(context, tls);
    SSL_set_tlsext_host_name(stream.native_handle(), address.host.c_str());
    stream.set_verify_callback(asio::ssl::host_name_verification(address.host));
    asio::connect(stream.lowest_layer(), endpoints);
    stream.handshake(asio::ssl::stream_base::client);
    return Exchange(stream, request, on_body);
  } catch (const boost::system::system_error& e) {
    return Fail(ErrorCode::kUnavailable, "{}: {} (is the aggregator up? --server or FAULTLINE_SERVER names it)",
                options.server, e.code().message());
  }
}

std::string Target(const std::string& path, const Parameters& parameters) {
  std::string target = path;
  char separator = path.find('?') == std::string::npos ? '?' : '&';
  for (const auto& [name, value] : parameters) {
    if (value.empty()) continue;
    target += separator + UrlEncode(name) + "=" + UrlEncode(value);
    separator = '&';
  }
  return target;
}

}  // namespace

std::string UrlEncode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-_.~").find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
  }
  return out;
}

Result<std::string> ApiClient::Call(std::string_view method, const std::string& path, const Parameters& parameters,
                                    const std::string& body, std::string_view content_type) const {
  std::string reply;
  FAULTLINE_ASSIGN(const unsigned status,
                   Transact(options_, method, Target(path, parameters), body, content_type, [&](std::string_view piece) {
                     reply += piece;
                     return true;
                   }));
  if (status < 200 || status >= 300) return Fail(CodeOf(status), "{}", Reason(reply));
  return reply;
}

Result<json::value> ApiClient::Json(std::string_view method, const std::string& path, const Parameters& parameters,
                                    const std::string& body) const {
  FAULTLINE_ASSIGN(const std::string text, Call(method, path, parameters, body));
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error) return Fail(ErrorCode::kCorruption, "{}: the reply is not JSON: {}", path, text.substr(0, 200));
  return value;
}

Result<json::value> ApiClient::Data(const std::string& path, const Parameters& parameters) const {
  FAULTLINE_ASSIGN(json::value reply, Json("GET", path, parameters));
  if (!reply.is_object() || !reply.get_object().contains("data")) {
    return Fail(ErrorCode::kCorruption, "{}: the reply has no data", path);
  }
  return std::move(reply.get_object()["data"]);
}

Result<void> ApiClient::Stream(const std::string& path, const Parameters& parameters,
                               const std::function<bool(std::string_view)>& on_line) const {
  std::string pending;
  FAULTLINE_ASSIGN(const unsigned status, Transact(options_, "GET", Target(path, parameters), {}, {}, [&](std::string_view piece) {
                     pending += piece;
                     for (size_t at; (at = pending.find('\n')) != std::string::npos; pending.erase(0, at + 1)) {
                       if (at > 0 && !on_line(std::string_view(pending).substr(0, at))) return false;
                     }
                     return true;
                   }));
  if (status >= 300) return Fail(CodeOf(status), "{}", Reason(pending));
  return {};
}

}  // namespace faultline::cli
