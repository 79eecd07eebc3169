#include "aggregator/api/audit_log.h"

#include <boost/json.hpp>

#include "common/text.h"

namespace faultline {
namespace {

constexpr std::string_view kKind = "audit";

}  // namespace

AuditLog::AuditLog(Store* store, const Clock* clock, size_t max_entries)
    : store_(store), clock_(clock), max_entries_(max_entries) {}

Result<void> AuditLog::Load() {
  if (loaded_) return {};
  FAULTLINE_ASSIGN(const auto documents, store_->ListDocuments(kKind));
  for (const auto& [name, text] : documents) names_.push_back(name);
  std::ranges::sort(names_);
  loaded_ = true;
  return {};
}

Result<void> AuditLog::Append(const AuditEntry& entry) {
  std::lock_guard lock(mutex_);
  FAULTLINE_TRY(Load());
  const int64_t now = clock_->UnixNs();
  // Names sort by time; a clock that stands still or goes back still gives a name of its own.
  std::string name = fmt::format("{:020}", now);
  if (!names_.empty() && name <= names_.back()) {
    name = fmt::format("{:020}", ParseUint(names_.back()).value_or(0) + 1);
  }
  const boost::json::object body = {
      {"time", FormatTime(now)},
      {"principal", ReplaceInvalidUtf8(entry.principal)},
      {"role", entry.role},
      {"remote", entry.remote},
      {"method", entry.method},
      {"path", ReplaceInvalidUtf8(entry.path)},
      {"status", entry.status},
  };
  FAULTLINE_TRY(store_->PutDocument(kKind, name, boost::json::serialize(body)));
  names_.push_back(std::move(name));
  while (names_.size() > max_entries_) {
    FAULTLINE_TRY(store_->DeleteDocument(kKind, names_.front()));
    names_.pop_front();
  }
  return {};
}

}  // namespace faultline
