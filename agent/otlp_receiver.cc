#include "agent/otlp_receiver.h"

#include <thread>

#include "agent/agent_http.h"
#include "agent/otlp/export_request.h"
#include "common/bounded_queue.h"
#include "common/token.h"

namespace faultline {
namespace {

constexpr size_t kMaxWaiting = 32;
constexpr size_t kMaxConnections = 512;
constexpr int kRetryAfterS = 1;

// 429 and 503 are what exporters send again.
int StatusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return 400;
    case ErrorCode::kResourceExhausted:
      return 413;
    case ErrorCode::kUnsupported:
      return 415;
    default:
      return 503;
  }
}

Page Refusal(int status, std::string_view message, otlp::Encoding encoding) {
  return {.status = status,
          .content_type = std::string(otlp::ContentType(encoding)),
          .body = otlp::EncodeRefusal(status, message, encoding),
          .retry_after_s = status == 503 ? kRetryAfterS : 0};
}

}  // namespace

struct OtlpReceiver::Impl : std::enable_shared_from_this<Impl> {
  struct Work {
    Posted posted;
    std::function<void(Page)> reply;
  };

  Impl(EventLoop* the_loop, const Clock* the_clock, Keep the_keep, size_t bytes)
      : loop(the_loop),
        clock(the_clock),
        keep(std::move(the_keep)),
        max_bytes(bytes),
        waiting(kMaxWaiting) {}

  void Receive(Posted posted, std::function<void(Page)> reply) {
    if (!otlp::EncodingOf(posted.content_type)) {
      return reply({.status = 415,
                    .body = "content-type must be application/x-protobuf or application/json\n"});
    }
    auto shared = std::make_shared<std::function<void(Page)>>(std::move(reply));
    Work work{std::move(posted), [shared](Page page) { (*shared)(std::move(page)); }};
    if (waiting.TryPush(std::move(work))) return;
    (*shared)({.status = 503, .body = "too many requests wait\n", .retry_after_s = kRetryAfterS});
  }

  void Run() {
    while (!waiting.closed()) {
      std::optional<Work> work = waiting.Pop(std::chrono::seconds(10));
      if (work) Decode(*std::move(work));
    }
  }

  void Decode(Work work) {
    const otlp::Encoding encoding = *otlp::EncodingOf(work.posted.content_type);
    auto read = std::make_shared<Result<otlp::ExportRequest>>(
        otlp::ReadExport(work.posted.path, work.posted.content_encoding,
                         std::move(work.posted.body), encoding, max_bytes, clock->UnixNs()));
    loop->Post([weak = weak_from_this(), read, encoding, path = work.posted.path,
                reply = std::move(work.reply)] {
      const auto self = weak.lock();
      if (!self) return;
      if (!*read)
        return reply(Refusal(StatusOf(read->error().code), read->error().message, encoding));
      if (auto kept = self->keep(std::move((*read)->record), (*read)->items); !kept) {
        return reply(Refusal(503, kept.error().message, encoding));
      }
      reply({.content_type = std::string(otlp::ContentType(encoding)),
             .body = otlp::AnswerOf(path, encoding)});
    });
  }

  EventLoop* const loop;
  const Clock* const clock;
  const Keep keep;
  const size_t max_bytes;
  BoundedQueue<Work> waiting;
  std::unique_ptr<AgentHttp> http;
  std::thread decoder;
};

OtlpReceiver::OtlpReceiver(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

OtlpReceiver::~OtlpReceiver() {
  impl_->http.reset();
  impl_->waiting.Close();
  impl_->decoder.join();
}

Result<std::unique_ptr<OtlpReceiver>> OtlpReceiver::Start(const v1::OtlpConfig& config,
                                                          EventLoop* loop, const Clock* clock,
                                                          Keep keep) {
  AgentHttp::Options options;
  options.listen = config.listen();
  options.max_body_bytes = config.max_body_bytes();
  options.max_connections = kMaxConnections;
  if (!config.token_file().empty()) {
    FAULTLINE_ASSIGN(const std::string token,
                     ReadTokenFile("otlp.token_file", config.token_file()));
    options.authorize = [token](std::string_view given) { return SameToken(given, token); };
  }
  auto impl = std::make_shared<Impl>(loop, clock, std::move(keep), config.max_body_bytes());
  for (const std::string_view path : {otlp::kMetricsPath, otlp::kLogsPath, otlp::kTracesPath}) {
    options.receivers[std::string(path)] = [raw = impl.get()](Posted posted,
                                                              std::function<void(Page)> reply) {
      raw->Receive(std::move(posted), std::move(reply));
    };
  }
  auto http = AgentHttp::Start(loop, std::move(options));
  if (!http) return Within("otlp.listen", http.error());
  impl->http = *std::move(http);
  impl->decoder = std::thread([raw = impl.get()] { raw->Run(); });
  return std::unique_ptr<OtlpReceiver>(new OtlpReceiver(std::move(impl)));
}

std::string OtlpReceiver::address() const { return impl_->http->address(); }

}  // namespace faultline
