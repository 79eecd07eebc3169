// The aggregator's HTTP server: connections are coroutines on a small pool of I/O threads, handlers run on a bounded
// pool of workers, long answers (watch, export) on a pool of their own. Everything a client can make us hold is
// bounded: connections, header, body, queue, time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "aggregator/api/routes/route.h"
#include "common/result.h"

namespace faultline {

struct HttpServerOptions {
  std::string listen = "127.0.0.1:8710";  // host:port; port 0 picks a free one
  std::string tls_certificate;            // PEM file; empty: plain HTTP
  std::string tls_key;
  std::string tokens;                     // file of bearer tokens; empty: loopback only
  size_t max_body_bytes = size_t{32} << 20;
  uint32_t max_header_bytes = 32u << 10;
  size_t max_connections = 1024;
  size_t io_threads = 2;
  size_t worker_threads = 4;
  size_t ingest_threads = 16;  // they mostly wait for a commit, together
  size_t max_queued_requests = 256;
  size_t stream_threads = 16;
  size_t max_streams = 64;
  int64_t idle_timeout_ms = 75'000;     // between requests of a connection
  int64_t header_timeout_ms = 10'000;   // from its first byte to the end of the header
  int64_t body_timeout_ms = 60'000;
  int64_t write_timeout_ms = 60'000;    // per reply, or per piece of a stream
  int64_t request_timeout_ms = 120'000;
  int64_t stream_timeout_ms = 3'600'000;
};

class HttpServer {
 public:
  // Listens and serves when it returns. `routes` and `context` outlive the server. An address that is not loopback
  // needs tokens.
  static Result<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                   std::span<const Route> routes, ApiContext* context);
  ~HttpServer();
  // host:port really bound.
  std::string address() const;
  uint16_t port() const;
  // Takes no new connection, gives requests in flight two seconds, joins every thread.
  void Stop();

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
