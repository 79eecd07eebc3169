// A server's side of one TCP connection, plain or TLS, behind one type: Beast's algorithms (HTTP,
// WebSocket) are compiled once for it, not once for each kind of stream. Internal to
// aggregator/api; includes Beast, so no other header may include this one.
//
// Threads: as Beast's streams, one operation of each direction at a time, all on the executor of
// the socket (a strand).
#pragma once

#include <array>
#include <chrono>
#include <memory>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/system/error_code.hpp>

namespace boost::asio::ssl {
class context;
}

namespace faultline {

class AnyStream {
 public:
  using error_code = boost::system::error_code;
  using executor_type = boost::asio::any_io_executor;
  using Transferred = boost::asio::any_completion_handler<void(error_code, size_t)>;
  using Done = boost::asio::any_completion_handler<void(error_code)>;

  // Buffers of one gathering write; what does not fit is left to the next, as a short write would
  // leave it.
  class Gather {
   public:
    template <typename Buffers>
    explicit Gather(const Buffers& buffers) {
      for (auto at = boost::asio::buffer_sequence_begin(buffers);
           at != boost::asio::buffer_sequence_end(buffers) && count_ < buffers_.size(); ++at) {
        const boost::asio::const_buffer buffer(*at);
        if (buffer.size() > 0) buffers_[count_++] = buffer;
      }
    }
    using value_type = boost::asio::const_buffer;
    const value_type* begin() const { return buffers_.data(); }
    const value_type* end() const { return buffers_.data() + count_; }

   private:
    std::array<value_type, 16> buffers_;
    size_t count_ = 0;
  };

  static std::unique_ptr<AnyStream> Plain(boost::asio::ip::tcp::socket socket);
  // `context` outlives the stream.
  static std::unique_ptr<AnyStream> Tls(boost::asio::ip::tcp::socket socket,
                                        boost::asio::ssl::context& context);
  virtual ~AnyStream() = default;

  // TLS's greeting and goodbye; nothing to do for a plain stream but to end its sending half.
  virtual boost::asio::awaitable<error_code> Handshake() = 0;
  virtual boost::asio::awaitable<void> Shutdown() = 0;
  // Operations still pending then fail with beast::error::timeout.
  virtual void ExpiresAfter(std::chrono::milliseconds after) = 0;
  // True when the client has closed its half and nothing of it is left to read.
  virtual bool ClientIsGone() = 0;
  // True when bytes, or the end of them, can be read without waiting.
  virtual bool Readable() = 0;

  // Asio's AsyncReadStream and AsyncWriteStream.
  virtual executor_type get_executor() = 0;
  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, size_t)>(
        [this](auto handler, const Buffers& into) { StartRead(FirstOf(into), std::move(handler)); },
        token, buffers);
  }
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, size_t)>(
        [this](auto handler, const Buffers& from) { StartWrite(Gather(from), std::move(handler)); },
        token, buffers);
  }

  // What Beast's WebSocket asks of a stream that it does not know.
  friend void beast_close_socket(AnyStream& stream) { stream.Close(); }
  friend void teardown(boost::beast::role_type, AnyStream& stream, error_code& error) {
    error.clear();
    stream.Close();
  }
  template <typename Handler>
  friend void async_teardown(boost::beast::role_type role, AnyStream& stream, Handler&& handler) {
    stream.StartTeardown(role, std::forward<Handler>(handler));
  }

 protected:
  virtual void StartRead(boost::asio::mutable_buffer into, Transferred done) = 0;
  virtual void StartWrite(const Gather& from, Transferred done) = 0;
  virtual void StartTeardown(boost::beast::role_type role, Done done) = 0;
  virtual void Close() = 0;

 private:
  template <typename Buffers>
  static boost::asio::mutable_buffer FirstOf(const Buffers& buffers) {
    for (auto at = boost::asio::buffer_sequence_begin(buffers);
         at != boost::asio::buffer_sequence_end(buffers); ++at) {
      const boost::asio::mutable_buffer buffer(*at);
      if (buffer.size() > 0) return buffer;
    }
    return {};
  }
};

}  // namespace faultline
