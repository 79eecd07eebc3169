#include "agent/checks/log_watch.h"

#include <fcntl.h>
#include <re2/re2.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "agent/checks/go_time.h"
#include "common/log.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr int64_t kLookEveryNs = 500 * kNsPerMs;  // at files
constexpr int64_t kSaveEveryNs = kNsPerSecond;
constexpr int64_t kOpenAgainNs = 5 * kNsPerSecond;

std::unique_ptr<RE2> Compile(const std::string& pattern) {
  if (pattern.empty()) return nullptr;
  RE2::Options options;
  options.set_log_errors(false);
  return std::make_unique<RE2>(pattern, options);
}

// As node-problem-detector: of several groups the last, without any the whole match.
bool TakeLastGroup(const RE2& pattern, std::string_view text, std::string_view& found) {
  re2::StringPiece groups[8];
  const int last = std::min(pattern.NumberOfCapturingGroups(), 7);
  const re2::StringPiece input(text.data(), text.size());
  if (!pattern.Match(input, 0, input.size(), RE2::UNANCHORED, groups, last + 1)) return false;
  found = std::string_view(groups[last].data(), groups[last].size());
  return true;
}

int64_t BootUnixNs(int64_t now_ns) {
  timespec up{};
  clock_gettime(CLOCK_BOOTTIME, &up);
  return now_ns - up.tv_sec * kNsPerSecond - up.tv_nsec;
}

}  // namespace

struct LogWatch::Stream {
  std::string plugin;
  std::string path;
  std::vector<const LogMonitor*> monitors;
  std::unique_ptr<LogMatcher> matcher;
  std::unique_ptr<LogSource> source;
  std::unique_ptr<RE2> message, timestamp;  // of filelog: what of a line is the message, its time
  std::string timestamp_format;
  int64_t oldest_unix_ns = INT64_MIN;  // lines of before are history
  int64_t open_again_unix_ns = 0;
  std::string Key() const { return plugin + ":" + path; }
};

LogWatch::LogWatch(const HostView& host, std::string state_folder, int64_t expire_ns,
                   int64_t interval_ns, LogConditions::Emit emit,
                   std::function<void(const char*, uint64_t)> drop)
    : host_(host),
      state_folder_(std::move(state_folder)),
      drop_(std::move(drop)),
      conditions_(expire_ns, interval_ns, std::move(emit)) {
  if (state_folder_.empty()) return;
  const auto kept = FsRoot().Read(state_folder_ + "/log_state");
  if (!kept) return;
  // Lines of `position <source>\t<position>`, an empty line, then the conditions.
  std::string_view rest = *kept;
  std::string_view line;
  while (NextLine(rest, line) && !line.empty()) {
    const size_t tab = line.find('\t');
    if (tab != std::string_view::npos)
      positions_[std::string(line.substr(0, tab))] = line.substr(tab + 1);
  }
  conditions_.Restore(rest);
}

LogWatch::~LogWatch() = default;

void LogWatch::SetMonitors(std::vector<LogMonitor> monitors) {
  for (const auto& stream : streams_) {
    if (stream->source) positions_[stream->Key()] = stream->source->Position();
  }
  streams_.clear();
  off_.clear();
  monitors_ = std::move(monitors);
  conditions_.SetMonitors(monitors_, host_.clock->UnixNs());
  for (const LogMonitor& monitor : monitors_) {
    Stream* found = nullptr;
    for (const auto& stream : streams_) {
      const bool same = stream->plugin == monitor.plugin && stream->path == monitor.path &&
                        stream->monitors.front()->message_pattern == monitor.message_pattern &&
                        stream->monitors.front()->timestamp_pattern == monitor.timestamp_pattern &&
                        stream->monitors.front()->timestamp_format == monitor.timestamp_format &&
                        stream->monitors.front()->unit == monitor.unit;
      if (same) found = stream.get();
    }
    if (found == nullptr) {
      found = streams_.emplace_back(std::make_unique<Stream>()).get();
      found->plugin = monitor.plugin;
      found->path = monitor.path;
      found->message = Compile(monitor.message_pattern);
      found->timestamp = Compile(monitor.timestamp_pattern);
      found->timestamp_format = monitor.timestamp_format;
    }
    found->monitors.push_back(&monitor);
  }
  for (const auto& stream : streams_) {
    auto matcher = LogMatcher::Create(stream->monitors);
    if (matcher) {
      stream->matcher = *std::move(matcher);
      OpenStream(*stream);
    } else {
      off_.push_back(matcher.error().message);
    }
  }
  for (const std::string& why : off_) spdlog::warn("log rules: {}", why);
}

// node-problem-detector asks for who wrote a line (dockerd, systemd); units are known by name too,
// with or without their ending.
void LogWatch::Offer(std::string_view unit, std::string_view identifier, std::string_view text,
                     int64_t unix_ns) {
  const int64_t now = host_.clock->UnixNs();
  if (unit.ends_with(".service")) unit.remove_suffix(8);
  for (const auto& stream : streams_) {
    if (stream->plugin != "journald" || !stream->matcher) continue;
    const std::string& wanted = stream->monitors.front()->unit;
    if (!wanted.empty() && wanted != unit && wanted != identifier) continue;
    stream->matcher->Feed(
        text, [&](const LogMonitor& monitor, const LogRule& rule, std::string_view matched) {
          conditions_.Match(monitor, rule, matched, unix_ns, now);
        });
  }
}

bool LogWatch::wants_journal() const {
  return std::ranges::any_of(streams_,
                             [](const auto& stream) { return stream->plugin == "journald"; });
}

void LogWatch::OpenStream(Stream& stream) {
  if (stream.plugin == "journald") return;  // its lines are offered
  std::string path = host_.fs.Path(stream.path);
  if (stream.plugin == "kmsg" && access(path.c_str(), F_OK) != 0)
    path = stream.path;  // a device of our own container
  const std::string position = positions_[stream.Key()];
  int64_t lookback_ns = 0;
  for (const LogMonitor* monitor : stream.monitors)
    lookback_ns = std::max(lookback_ns, monitor->lookback_ns);
  if (stream.plugin == "filelog") {
    const bool history = lookback_ns > 0 && position.empty() && stream.timestamp != nullptr &&
                         !stream.timestamp_format.empty();
    const int64_t now = host_.clock->UnixNs();
    if (history) stream.oldest_unix_ns = std::max(now - lookback_ns, BootUnixNs(now));
    stream.source = OpenLogFile(path, position, host_, history);
    return;
  }
  auto source = OpenKmsg(path, lookback_ns, position, host_);
  if (source) {
    stream.source = *std::move(source);
    return;
  }
  stream.open_again_unix_ns = host_.clock->UnixNs() + kOpenAgainNs;
  if (LogAllowed("checks " + stream.path)) spdlog::warn("log rules: {}", source.error().message);
}

std::vector<int> LogWatch::fds() const {
  std::vector<int> fds;
  for (const auto& stream : streams_) {
    if (stream->source && stream->source->fd() >= 0) fds.push_back(stream->source->fd());
  }
  return fds;
}

int64_t LogWatch::Step() {
  more_ = false;
  bool polled = false;
  int64_t now = host_.clock->UnixNs();
  for (const auto& stream : streams_) {
    if (!stream->source && stream->matcher && stream->plugin != "journald" &&
        now >= stream->open_again_unix_ns)
      OpenStream(*stream);
    if (!stream->source) continue;
    polled |= stream->source->fd() < 0;
    more_ |= stream->source->Read([&](std::string_view text, int64_t unix_ns) {
      std::string_view stamp, message = text;
      if (stream->timestamp && !TakeLastGroup(*stream->timestamp, text, stamp)) return;
      if (stream->message && !TakeLastGroup(*stream->message, text, message)) return;
      if (const auto time = ParseGoTime(stream->timestamp_format, stamp, unix_ns);
          !stamp.empty() && !stream->timestamp_format.empty()) {
        if (stream->oldest_unix_ns != INT64_MIN &&
            time.value_or(INT64_MIN) < stream->oldest_unix_ns)
          return;
        unix_ns = time.value_or(unix_ns);
      }
      text = message;
      stream->matcher->Feed(
          text, [&](const LogMonitor& monitor, const LogRule& rule, std::string_view matched) {
            conditions_.Match(monitor, rule, matched, unix_ns, now);
          });
    });
    if (const uint64_t lost = stream->source->TakeLost(); lost > 0)
      drop_("log_lines_overwritten", lost);
  }
  now = host_.clock->UnixNs();
  int64_t next = conditions_.Step(now);
  if (now - saved_unix_ns_ >= kSaveEveryNs && conditions_.TakeChanged()) Save();
  if (polled) next = std::min(next, now + kLookEveryNs);
  return more_ ? now : next;
}

void LogWatch::Save() {
  saved_unix_ns_ = host_.clock->UnixNs();
  if (state_folder_.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(state_folder_, ignored);
  for (const auto& stream : streams_) {
    if (stream->source) positions_[stream->Key()] = stream->source->Position();
  }
  std::string text;
  for (const auto& [name, position] : positions_) text += name + "\t" + position + "\n";
  text += "\n" + conditions_.Save();
  const std::string path = state_folder_ + "/log_state";
  const std::string fresh = path + ".new";
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const bool good = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  if (good) (void)rename(fresh.c_str(), path.c_str());
}

}  // namespace faultline
