// OTLP/HTTP on the node: applications export to it, and are told "taken" once the spool has it.
// Decoding is done by a thread of its own, keeping by the agent's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "agent/event_loop.h"
#include "common/clock.h"
#include "common/result.h"
#include "faultline/v1/config.pb.h"
#include "faultline/v1/record.pb.h"

namespace faultline {

class OtlpReceiver {
 public:
  // Keeps one request of `items` points, records or spans. On an error nothing was kept. Called on
  // the loop.
  using Keep = std::function<Result<void>(v1::OtlpRequest&& request, uint64_t items)>;

  // Loop and clock outlive it. What `config` may say is checked where it is read.
  static Result<std::unique_ptr<OtlpReceiver>> Start(const v1::OtlpConfig& config, EventLoop* loop,
                                                     const Clock* clock, Keep keep);
  ~OtlpReceiver();
  // host:port really bound.
  std::string address() const;

 private:
  struct Impl;
  explicit OtlpReceiver(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace faultline
