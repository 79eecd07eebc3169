// One group of rules and the state of its rules. Owned and called by one evaluating thread at a time; what others may
// see is a copy (View).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aggregator/alerts/rule_file.h"
#include "aggregator/query/promql.h"
#include "aggregator/store/store.h"

namespace faultline::alerts {

enum class AlertState { kInactive, kPending, kFiring };
std::string_view StateName(AlertState state);

struct Alert {
  AlertState state = AlertState::kPending;
  Labels labels;
  Labels annotations;
  double value = 0;
  // Milliseconds; 0 is never.
  int64_t active_at_ms = 0;
  int64_t fired_at_ms = 0;
  int64_t resolved_at_ms = 0;
  int64_t keep_firing_since_ms = 0;
  int64_t last_sent_ms = 0;
  int64_t valid_until_ms = 0;
};

// What evaluating needs from outside.
struct RuleWorld {
  Store* store = nullptr;
  std::function<std::unique_ptr<promql::SeriesSource>()> make_source;
  QueryOptions query;
  int64_t default_interval_ms = 60'000;
  int64_t resend_delay_ms = 60'000;
  std::string external_url;
  Labels external_labels;
  // Gets alerts that are due to be sent; may be empty.
  std::function<void(std::vector<Alert>&& alerts, const RuleSpec& rule)> send;
};

struct RuleView {
  RuleSpec spec;
  std::vector<Alert> alerts;  // pending and firing
  AlertState state = AlertState::kInactive;
  std::string last_error;  // empty: health ok (unknown before the first evaluation)
  int64_t evaluated_at_ms = 0;
  double evaluation_seconds = 0;
};

struct GroupView {
  std::string file, name;
  int64_t interval_ms = 0;
  size_t limit = 0;
  int64_t evaluated_at_ms = 0;
  double evaluation_seconds = 0;
  std::vector<RuleView> rules;
};

class RuleGroup {
 public:
  RuleGroup(GroupSpec spec, const RuleWorld* world);
  ~RuleGroup();

  // Evaluates all rules at `now_ms`, writes their series, sends their alerts. Failures are in the view.
  void Evaluate(int64_t now_ms);
  // Takes over the state of rules that are the same in `old`; series of the others end at `now_ms`.
  void Inherit(RuleGroup& old);
  // Ends all series: the group is gone.
  void EndSeries(int64_t now_ms);

  const GroupSpec& spec() const { return spec_; }
  int64_t interval_ms() const { return spec_.interval_ms != 0 ? spec_.interval_ms : world_->default_interval_ms; }
  GroupView View() const;

 private:
  struct RuleState;
  Result<std::vector<ResultSeries>> Query(const RuleSpec& rule, int64_t now_ms) const;
  Result<std::vector<ResultSeries>> Record(const RuleSpec& rule, int64_t now_ms) const;
  Result<std::vector<ResultSeries>> Watch(RuleState& rule, int64_t now_ms);
  void Advance(RuleState& rule, const std::map<Labels, bool>& seen, int64_t now_ms, std::vector<ResultSeries>& out);
  void RestoreFor(RuleState& rule, int64_t now_ms);
  void SendDue(RuleState& rule, int64_t now_ms) const;
  void Stage(RuleState& rule, std::vector<ResultSeries>&& series, int64_t now_ms, AppendBatch& batch);
  Result<void> Write(AppendBatch&& batch) const;

  GroupSpec spec_;
  const RuleWorld* world_;
  std::vector<std::unique_ptr<RuleState>> rules_;
  std::vector<Labels> orphans_;  // series of rules that are gone
  int64_t evaluated_at_ms_ = 0;
  double evaluation_seconds_ = 0;
};

// The alert's template context and labels, used for its annotations too.
Alert MakeAlert(const RuleSpec& rule, const Labels& sample_labels, double value, int64_t now_ms, const RuleWorld& world);

}  // namespace faultline::alerts
