// Where the lines come from that log monitors look at. Sources never block and remember how far
// they came, so that after a restart no line counts twice. Lines that were overwritten before we
// read them are counted.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/host_view.h"
#include "common/result.h"

namespace faultline {

class LogSource {
 public:
  using Line = std::function<void(std::string_view text, int64_t unix_ns)>;

  virtual ~LogSource() = default;
  // Readable when there are lines; -1: look now and then.
  virtual int fd() const { return -1; }
  // What is there, at most a portion. True: there may be more at once.
  virtual bool Read(const Line& line) = 0;
  // To go on from, after a restart.
  virtual std::string Position() const = 0;
  // Lines that were lost since the last call.
  virtual uint64_t TakeLost() { return 0; }
};

// /dev/kmsg or a file with its records. Lines older than `lookback_ns` are passed over; `position`
// ("boot sequence") goes before that.
Result<std::unique_ptr<LogSource>> OpenKmsg(const std::string& path, int64_t lookback_ns,
                                            std::string_view position, const HostView& host);
// A file that grows, is rotated or truncated. Begins at `position` ("inode offset"), else at its end,
// or with `history` at its beginning (at most 64 MiB before its end).
std::unique_ptr<LogSource> OpenLogFile(const std::string& path, std::string_view position,
                                       const HostView& host, bool history = false);

}  // namespace faultline
