#include "common/log.h"

#include <google/protobuf/stubs/logging.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <chrono>
#include <mutex>
#include <unordered_map>

namespace faultline {

Result<void> SetUpLog(std::string_view level, std::string_view format) {
  const auto parsed = level.empty() ? spdlog::level::info : spdlog::level::from_str(std::string(level));
  if (parsed == spdlog::level::off && level != "off") {
    return Fail(ErrorCode::kInvalidArgument, "log.level: '{}' is none of trace, debug, info, warn, error", level);
  }
  auto logger = spdlog::stderr_color_mt("faultline");
  if (format == "json") {
    logger->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l","message":"%v"})",
                        spdlog::pattern_time_type::utc);
  } else if (format.empty() || format == "text") {
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%-5l%$ %v", spdlog::pattern_time_type::utc);
  } else {
    return Fail(ErrorCode::kInvalidArgument, "log.format: '{}' is neither text nor json", format);
  }
  logger->set_level(parsed);
  // Protobuf writes a line per malformed field; whoever parses reports the message as a whole.
  google::protobuf::SetLogHandler(nullptr);
  spdlog::set_default_logger(std::move(logger));
  return {};
}

bool LogAllowed(std::string_view key, int interval_s) {
  using SteadyClock = std::chrono::steady_clock;
  static std::mutex mutex;
  static std::unordered_map<std::string, SteadyClock::time_point> last;
  constexpr size_t kMaxKeys = 4096;
  const std::lock_guard lock(mutex);
  const auto now = SteadyClock::now();
  if (last.size() > kMaxKeys) last.clear();
  auto [at, inserted] = last.try_emplace(std::string(key), now);
  if (inserted) return true;
  if (now - at->second < std::chrono::seconds(interval_s)) return false;
  at->second = now;
  return true;
}

}  // namespace faultline
