// A batch as JSON lines, one record each: what --once --print shows, and exactly what would go over the wire.
#pragma once

#include <cstdio>
#include <map>
#include <string>

#include "agent/pipeline.h"

namespace faultline {

class BatchPrinter final : public BatchSink {
 public:
  explicit BatchPrinter(std::FILE* out) : out_(out) {}
  using BatchSink::Put;
  Result<void> Put(Lane lane, v1::Batch& batch, uint64_t records) override;
  bool Congested(LogRoom) const override { return false; }
  Result<void> StartSession() override;

 private:
  void PrintFrame(const v1::SampleFrame& frame);
  using Streams = std::map<uint32_t, std::string>;
  void PrintLogs(const v1::LogFrame& frame, const Streams& streams);
  void PrintMessage(const char* kind, const google::protobuf::Message& message);

  std::FILE* const out_;
  std::map<uint32_t, std::string> series_;   // "name":…,"labels":{…} by reference
  std::map<Lane, Streams> streams_;
};

}  // namespace faultline
