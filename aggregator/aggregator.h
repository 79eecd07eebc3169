// The aggregator, put together. The members, in order, are the road: transport and ingest at the end so that they stop first.
#pragma once

#include <memory>
#include <string>

#include "common/clock.h"
#include "common/result.h"
#include "faultline/v1/config.pb.h"

namespace faultline {

class Aggregator {
 public:
  // Opens the store, loads what it holds, starts every thread and listens. An error names what could not start.
  static Result<std::unique_ptr<Aggregator>> Start(const v1::AggregatorConfig& config);
  ~Aggregator();

  // Takes over what may change while running (limits, log level); the rest is named in the log.
  void Reload(const v1::AggregatorConfig& config);
  // In reverse order of the road: no new data, no new requests, flush, close.
  void Stop();

  std::string http_address() const;
  std::string ingest_endpoint() const;

 private:
  struct Parts;
  explicit Aggregator(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace faultline
