#include "agent/checks/log_matcher.h"

#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>

namespace faultline {
namespace {

constexpr size_t kMaxLineBytes = 8192;
constexpr size_t kMaxJoinedBytes = 64 << 10;

// Whether a pattern can match a newline; when in doubt it can.
bool MaySpanLines(std::string_view pattern) {
  for (const char* part :
       {"\\n", "\\s", "\\S", "\\W", "\\D", "[^", "(?s", "\\x", "[[:", "\\pC", "\\C", "\n"}) {
    // \S and friends beside a blank in brackets are the usual [\S ]: no newline in them.
    if (std::string_view(part) == "\\S") continue;
    if (pattern.find(part) != std::string_view::npos) return true;
  }
  return false;
}

RE2::Options Options() {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(16 << 20);
  options.set_encoding(RE2::Options::EncodingLatin1);  // lines may be any bytes
  return options;
}

}  // namespace

struct LogMatcher::Impl {
  struct Target {
    const LogMonitor* monitor;
    const LogRule* rule;
  };
  struct Joined {
    Target target;
    std::unique_ptr<RE2> pattern;
  };
  std::vector<const LogMonitor*> monitors;
  std::unique_ptr<RE2::Set> set;
  std::vector<Target> in_set;
  std::vector<std::unique_ptr<RE2>> single;  // when the set ran out of memory
  std::vector<Joined> joined;
  std::deque<std::string> lines;
  size_t max_lines = 0;
  bool skips = false;

  static bool Skipped(const LogMonitor& monitor, std::string_view line) {
    return std::ranges::any_of(monitor.skip, [&](const std::string& part) {
      return line.find(part) != std::string_view::npos;
    });
  }
  void TryJoined(std::string_view line, const Matched& matched);
};

LogMatcher::LogMatcher(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogMatcher::~LogMatcher() = default;

Result<std::unique_ptr<LogMatcher>> LogMatcher::Create(std::vector<const LogMonitor*> monitors) {
  auto impl = std::make_unique<Impl>();
  impl->monitors = monitors;
  impl->set = std::make_unique<RE2::Set>(Options(), RE2::UNANCHORED);
  for (const LogMonitor* monitor : monitors) {
    impl->skips |= !monitor->skip.empty();
    for (const LogRule& rule : monitor->rules) {
      const std::string pattern = rule.whole_line ? "(?:" + rule.pattern + ")\\z" : rule.pattern;
      if (MaySpanLines(rule.pattern) && monitor->buffer_lines > 1) {
        auto compiled = std::make_unique<RE2>(pattern, Options());
        if (!compiled->ok())
          return Fail(ErrorCode::kInvalidArgument, "{}: pattern: {}", rule.rule, compiled->error());
        impl->max_lines = std::max<size_t>(impl->max_lines, monitor->buffer_lines);
        impl->joined.push_back({{monitor, &rule}, std::move(compiled)});
        continue;
      }
      std::string error;
      if (impl->set->Add(pattern, &error) < 0) {
        return Fail(ErrorCode::kInvalidArgument, "{}: pattern: {}", rule.rule, error);
      }
      impl->in_set.push_back({monitor, &rule});
      impl->single.push_back(std::make_unique<RE2>(pattern, Options()));
    }
  }
  if (!impl->in_set.empty() && !impl->set->Compile()) impl->set.reset();
  if (impl->in_set.empty()) impl->set.reset();
  return std::unique_ptr<LogMatcher>(new LogMatcher(std::move(impl)));
}

void LogMatcher::Feed(std::string_view line, const Matched& matched) {
  line = line.substr(0, kMaxLineBytes);
  Impl& impl = *impl_;
  const auto tell = [&](const Impl::Target& target) {
    if (impl.skips && Impl::Skipped(*target.monitor, line)) return;
    matched(*target.monitor, *target.rule, line);
  };
  bool exhausted = impl.set == nullptr;
  if (impl.set != nullptr) {
    std::vector<int> hits;
    RE2::Set::ErrorInfo why{};
    if (impl.set->Match(line, &hits, &why)) {
      std::ranges::sort(hits);
      for (const int hit : hits) tell(impl.in_set[static_cast<size_t>(hit)]);
    } else {
      exhausted = why.kind != RE2::Set::kNoError;
    }
  }
  if (exhausted) {
    for (size_t i = 0; i < impl.single.size(); ++i) {
      if (RE2::PartialMatch(line, *impl.single[i])) tell(impl.in_set[i]);
    }
  }
  if (!impl.joined.empty()) impl.TryJoined(line, matched);
}

void LogMatcher::Impl::TryJoined(std::string_view line, const Matched& matched) {
  lines.emplace_back(line);
  while (lines.size() > max_lines) lines.pop_front();
  for (const Joined& one : joined) {
    if (skips && Skipped(*one.target.monitor, line)) continue;
    const size_t count = std::min<size_t>(lines.size(), one.target.monitor->buffer_lines);
    std::string text;
    for (size_t i = lines.size() - count; i < lines.size() && text.size() < kMaxJoinedBytes; ++i) {
      if (!text.empty()) text += '\n';
      text += lines[i];
    }
    re2::StringPiece found;
    const re2::StringPiece input(text);
    if (!one.pattern->Match(input, 0, input.size(), RE2::UNANCHORED, &found, 1)) continue;
    matched(*one.target.monitor, *one.target.rule, std::string_view(found.data(), found.size()));
  }
}

}  // namespace faultline
