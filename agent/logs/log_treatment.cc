#include "agent/logs/log_treatment.h"

#include <algorithm>

#include "agent/logs/severity.h"
#include "common/text.h"

namespace faultline {
namespace {

bool Fits(const v1::LogSelection& selection, const LogOwner& owner) {
  const auto fits = [](const std::string& pattern, std::string_view text) {
    return pattern.empty() || GlobMatch(pattern, text);
  };
  return fits(selection.namespace_(), owner.name_space) && fits(selection.pod(), owner.pod) &&
         fits(selection.container(), owner.container) && fits(selection.file(), owner.file);
}

// What cannot be honoured is refused, not ignored.
Result<void> CheckSelections(const v1::LogsConfig& config) {
  const auto asks = [](const v1::LogSelection& selection) {
    return !selection.annotations().empty();
  };
  const bool any = std::ranges::any_of(config.include(), asks) ||
                   std::ranges::any_of(config.exclude(), asks) ||
                   std::ranges::any_of(config.formats(), asks, &v1::LogFormat::select);
  if (!any) return {};
  return Fail(ErrorCode::kUnsupported,
              "logs: annotations in a selection: they cannot be had on every runtime (containerd keeps "
              "them in its own database, not in a file); select by namespace, pod and container");
}

Result<std::unique_ptr<TextParser>> FindParser(const std::string& name) {
  if (name.empty()) return std::unique_ptr<TextParser>();
  std::string known;
  for (const TextParserRow& row : TextParserCatalogue()) {
    if (row.name == name) return row.make();
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  return Fail(ErrorCode::kInvalidArgument, "parser: `{}` is none of {}", name, known);
}

}  // namespace

void LogTreatment::Finish(LogChunk::Record& record, int64_t now_unix_ns) const {
  if (text) text->Parse(record, now_unix_ns);
  if (record.severity == v1::SEVERITY_UNSPECIFIED) record.severity = SeverityOfText(record.body);
  if (redactor != nullptr) redactor->Apply(record);
}

Result<std::unique_ptr<LogTreatments>> LogTreatments::Make(const v1::LogsConfig& config) {
  auto made = std::unique_ptr<LogTreatments>(new LogTreatments);
  FAULTLINE_TRY(CheckSelections(config));
  made->config_ = config;
  if (!config.redact().empty()) {
    std::vector<Redactor::Rule> rules;
    for (const v1::LogRedaction& rule : config.redact()) {
      rules.push_back({.pattern = rule.pattern()});
      if (!rule.replacement().empty()) rules.back().replacement = rule.replacement();
    }
    auto redactor = Redactor::Make(rules);
    if (!redactor) return Fail(redactor.error().code, "logs.redact: {}", redactor.error().message);
    made->redactor_ = *std::move(redactor);
  }
  made->plain_.redactor = made->redactor_.get();
  for (int i = 0; i < config.formats_size(); ++i) {
    const v1::LogFormat& format = config.formats(i);
    const auto wrong = [i](const Error& error) {
      return Fail(error.code, "logs.formats[{}]: {}", i, error.message);
    };
    LogTreatment treatment;
    treatment.redactor = made->redactor_.get();
    auto parser = FindParser(format.parser());
    if (!parser) return wrong(parser.error());
    treatment.text = *std::move(parser);
    if (!format.multiline().empty() || !format.multiline_start().empty()) {
      auto rule = format.multiline_start().empty() ? FindJoinRule(format.multiline())
                                                   : StartPatternRule(format.multiline_start());
      if (!rule) return wrong(rule.error());
      treatment.join = *std::move(rule);
    }
    made->formats_.push_back(std::move(treatment));
  }
  return made;
}

bool LogTreatments::Wanted(const LogOwner& owner) const {
  const auto fits = [&](const v1::LogSelection& selection) { return Fits(selection, owner); };
  return (config_.include().empty() || std::ranges::any_of(config_.include(), fits)) &&
         std::ranges::none_of(config_.exclude(), fits);
}

const LogTreatment& LogTreatments::Of(const LogOwner& owner) const {
  for (int i = 0; i < config_.formats_size(); ++i) {
    if (Fits(config_.formats(i).select(), owner)) return formats_[static_cast<size_t>(i)];
  }
  return plain_;
}

}  // namespace faultline
