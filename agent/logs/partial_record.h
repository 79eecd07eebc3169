// A record that arrives in pieces: the parsers that re-join partial lines keep one per stream.
// Bounded.
#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include "agent/logs/log_parser.h"

namespace faultline {

class PartialRecord {
 public:
  explicit PartialRecord(size_t max_bytes) : max_bytes_(max_bytes) {}

  void Append(std::string_view piece, int64_t time_unix_ns, uint64_t offset) {
    if (!open_) {
      open_ = true;
      parsed_.record.time_unix_ns = time_unix_ns;
      parsed_.record.offset = offset;
    }
    const size_t room = max_bytes_ - parsed_.record.body.size();
    parsed_.record.body += piece.substr(0, room);
    if (piece.size() > room) parsed_.cut_bytes += piece.size() - room;
  }
  ParsedLine Finish(std::string_view stream) {
    open_ = false;
    ParsedLine finished = std::exchange(parsed_, {});
    finished.ready = true;
    finished.stream = stream;
    return finished;
  }
  bool open() const { return open_; }
  std::optional<uint64_t> offset() const {
    return open_ ? std::optional(parsed_.record.offset) : std::nullopt;
  }

 private:
  size_t max_bytes_;
  bool open_ = false;
  ParsedLine parsed_;
};

}  // namespace faultline
