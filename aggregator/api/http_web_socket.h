// The writing side of a WebSocket (RFC 6455) on a connection whose upgrade request was read.
// Internal to aggregator/api.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "aggregator/api/http_stream.h"

namespace faultline {

// The next text message; empty when there is none for now, nullopt at the end of all.
using NextMessage = std::function<boost::asio::awaitable<std::optional<std::string>>()>;

// Accepts the upgrade and sends messages until there are no more or the client leaves. What the
// client sends is read only for the sake of pings and of its goodbye. `stream` and `request`
// outlive the coroutine.
boost::asio::awaitable<void> SendMessages(
    AnyStream& stream, const boost::beast::http::request<boost::beast::http::string_body>& request,
    std::chrono::milliseconds write_timeout, NextMessage next);

}  // namespace faultline
