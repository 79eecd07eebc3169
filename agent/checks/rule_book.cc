#include "agent/checks/rule_book.h"

#include <fcntl.h>
#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "agent/checks/builtin/check.h"
#include "common/check_rules_hash.h"
#include "common/host_view.h"
#include "common/log.h"

namespace faultline {
namespace {

constexpr size_t kMaxFiles = 1000;
constexpr size_t kMaxRules = 5000;

int64_t ToNs(const google::protobuf::Duration& duration) {
  return duration.seconds() * kNsPerSecond + duration.nanos();
}

std::vector<std::string> FilesOf(const std::string& pattern) {
  std::vector<std::string> files;
  glob_t found{};
  if (glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc && files.size() < kMaxFiles; ++i)
      files.emplace_back(found.gl_pathv[i]);
  }
  globfree(&found);
  std::ranges::sort(files);
  return files;
}

// Whole or not at all.
Result<void> WriteFile(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return FailErrno(errno, "write {}", fresh);
  const bool good =
      write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  if (!good) return FailErrno(error, "write {}", fresh);
  if (rename(fresh.c_str(), path.c_str()) != 0) return FailErrno(errno, "rename {}", fresh);
  return {};
}

}  // namespace

RuleBook::RuleBook(const v1::ChecksConfig& config, std::string host_name, std::string state_folder)
    : config_(config), state_folder_(std::move(state_folder)) {
  context_.allowed_roots.assign(config.allowed_roots().begin(), config.allowed_roots().end());
  context_.host_name = std::move(host_name);
}

void RuleBook::Load() {
  ReadAll();
  ApplyLevels();
}

void RuleBook::ApplyLevels() {
  for (CheckRule& rule : checks_) {
    if (const auto at = levels_.find(rule.condition); at != levels_.end()) rule.level = at->second;
  }
  for (LogMonitor& monitor : monitors_) {
    for (LogRule& rule : monitor.rules) {
      if (const auto at = levels_.find(rule.condition); at != levels_.end())
        rule.level = at->second;
    }
  }
}

void RuleBook::ReadAll() {
  checks_.clear();
  monitors_.clear();
  levels_.clear();
  errors_.clear();
  AddBuiltins();
  AddFiles();
  if (state_folder_.empty()) return;
  const auto kept = FsRoot().Read(state_folder_ + "/pushed_rules", size_t{16} << 20);
  v1::SetCheckRules pushed;
  if (!kept || !pushed.ParseFromString(*kept)) return;
  auto set = ReadPushed(pushed);
  if (!set) {
    errors_.push_back("pushed rules: " + set.error().message);
    return;
  }
  Add(*std::move(set));
  version_ = pushed.version();
  hash_ = pushed.hash();
}

void RuleBook::AddBuiltins() {
  for (const CheckRow& row : CheckCatalogue()) {
    CheckRule rule;
    rule.rule = fmt::format("builtin/{}", row.name);
    rule.contract = "builtin";
    rule.module = row.module;
    rule.item = row.name;
    rule.reason = row.condition;
    rule.condition = row.condition;
    rule.level = row.level;
    rule.builtin = row.name;
    rule.suggestion = row.suggestion;
    rule.interval_ns = row.interval_s * kNsPerSecond;
    const auto own = config_.builtin().find(std::string(row.name));
    if (own != config_.builtin().end()) {
      if (own->second.has_enabled() && !own->second.enabled())
        rule.off = "checks.builtin: enabled is false";
      if (own->second.has_interval()) rule.interval_ns = ToNs(own->second.interval());
      rule.parameters.insert(own->second.parameters().begin(), own->second.parameters().end());
    }
    FillDefaults(rule);
    checks_.push_back(std::move(rule));
  }
}

void RuleBook::AddFiles() {
  for (const std::string& pattern : config_.rules()) {
    for (const std::string& path : FilesOf(pattern)) {
      RuleDocument document{.name = path, .path = path, .contract = "", .text = ""};
      const auto text = FsRoot().Read(path);
      if (!text) {
        errors_.push_back(text.error().message);
        continue;
      }
      document.text = *text;
      auto set = ReadRules(document, context_);
      if (set) {
        Add(*std::move(set));
      } else {
        errors_.push_back(set.error().message);
      }
    }
  }
  for (const std::string& error : errors_) spdlog::error("check rules: {}", error);
}

Result<RuleSet> RuleBook::ReadPushed(const v1::SetCheckRules& pushed) const {
  // No rules, no hash: as a node that was never told any.
  if (pushed.hash() != (pushed.documents().empty() ? "" : CheckRulesHash(pushed))) {
    return Fail(ErrorCode::kCorruption, "the rules do not have the hash {}", pushed.hash());
  }
  RuleSet all;
  for (const v1::CheckRuleDocument& document : pushed.documents()) {
    const std::string contract = document.contract() == "faultline" ? "aegis" : document.contract();
    FAULTLINE_ASSIGN(
        RuleSet set,
        ReadRules(
            {.name = document.name(), .path = "", .contract = contract, .text = document.text()},
            context_));
    std::ranges::move(set.checks, std::back_inserter(all.checks));
    std::ranges::move(set.monitors, std::back_inserter(all.monitors));
    all.levels.merge(set.levels);
  }
  for (const CheckRule& rule : all.checks) {
    if (rule.builtin.empty()) continue;
    const CheckRow* row = FindCheck(rule.builtin);
    if (row == nullptr) {
      return Fail(ErrorCode::kInvalidArgument, "{}:1: rules.builtin: there is no check `{}`",
                  rule.origin, rule.builtin);
    }
    if (const auto made = MakeCheck(*row, rule.parameters); !made)
      return Within(rule.origin, made.error());
  }
  if (all.checks.size() > kMaxRules)
    return Fail(ErrorCode::kResourceExhausted, "more than {} rules", kMaxRules);
  return all;
}

Result<void> RuleBook::SetPushed(const v1::SetCheckRules& pushed) {
  FAULTLINE_TRY(ReadPushed(pushed));
  if (!state_folder_.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(state_folder_, ignored);
    FAULTLINE_TRY(WriteFile(state_folder_ + "/pushed_rules", pushed.SerializeAsString()));
    Load();
    return {};
  }
  Load();
  Add(*ReadPushed(pushed));
  ApplyLevels();
  version_ = pushed.version();
  hash_ = pushed.hash();
  return {};
}

bool RuleBook::Known(const std::string& rule) const {
  return std::ranges::any_of(checks_, [&](const CheckRule& other) { return other.rule == rule; });
}

void RuleBook::Add(RuleSet set) {
  for (const auto& [condition, level] : set.levels) levels_[condition] = level;
  for (const std::string& note : set.notes) spdlog::info("check rules: {}", note);
  for (CheckRule& rule : set.checks) {
    if (checks_.size() >= kMaxRules) {
      errors_.push_back(fmt::format("more than {} rules: the rest is left out", kMaxRules));
      return;
    }
    // Two files may name their rules alike.
    const std::string name = rule.rule;
    for (int n = 2; Known(rule.rule); ++n) rule.rule = fmt::format("{}#{}", name, n);
    FillDefaults(rule);
    checks_.push_back(std::move(rule));
  }
  std::ranges::move(set.monitors, std::back_inserter(monitors_));
}

void RuleBook::FillDefaults(CheckRule& rule) const {
  if (rule.interval_ns == 0) rule.interval_ns = ToNs(config_.interval());
  if (rule.timeout_ns == 0) rule.timeout_ns = ToNs(config_.timeout());
}

}  // namespace faultline
