#include "agent/check_control.h"

#include <algorithm>
#include <tuple>

#include "agent/checks/program_runner.h"
#include "common/log.h"

namespace faultline {
namespace {

constexpr MetricFamily kCounter{"problem_counter", v1::METRIC_TYPE_COUNTER,
                                "Number of times a specific type of problem has occurred."};
constexpr MetricFamily kGauge{"problem_gauge", v1::METRIC_TYPE_GAUGE,
                              "Whether a specific type of problem is affecting the node or not."};
constexpr MetricFamily kHealth{"aegis_node_health_status", v1::METRIC_TYPE_GAUGE,
                               "Whether a check found its problem (1) or not (0)."};
constexpr MetricFamily kDuration{"faultline_check_duration_seconds", v1::METRIC_TYPE_GAUGE,
                                 "How long the last run of a check took."};
constexpr MetricFamily kFigure{"faultline_check_perfdata", v1::METRIC_TYPE_GAUGE,
                               "Figures that checks gave."};
constexpr size_t kMaxRules = 5000;
constexpr size_t kMaxReasons = 2000;

const char* LevelName(v1::CheckLevel level) {
  switch (level) {
    case v1::CHECK_LEVEL_INFO:
      return "info";
    case v1::CHECK_LEVEL_CRITICAL:
      return "critical";
    case v1::CHECK_LEVEL_FATAL:
      return "fatal";
    default:
      return "warning";
  }
}

bool IsProblem(v1::CheckVerdict verdict) {
  return verdict == v1::CHECK_VERDICT_PROBLEM || verdict == v1::CHECK_VERDICT_DEGRADED;
}

}  // namespace

// On the agent's thread; the series' leaf shares it.
struct CheckControl::State {
  std::map<std::string, v1::CheckResult> last;  // by rule; conditions only
  std::map<std::string, double> counters;       // by reason
  std::map<std::pair<std::string, std::string>, bool>
      seen;  // type and reason of every problem that ever was
};

namespace {

class CheckSeries final : public Collector {
 public:
  explicit CheckSeries(std::shared_ptr<const CheckControl::State> state)
      : state_(std::move(state)) {}

  Result<void> Collect(Emitter& out) override {
    for (const auto& [reason, count] : state_->counters)
      out.Sample(kCounter, {{"reason", reason}}, count);
    std::map<std::pair<std::string, std::string>, double> gauges;
    for (const auto& [key, unused] : state_->seen) gauges[key] = 0;
    // Two rules may be about the same: the worse one counts.
    std::map<std::tuple<std::string, std::string, std::string, std::string>, double> health;
    for (const auto& [rule, result] : state_->last) {
      const bool told = result.verdict() == v1::CHECK_VERDICT_OK || IsProblem(result.verdict());
      if (!told) continue;
      const double value = IsProblem(result.verdict()) ? 1 : 0;
      double& status =
          health[{result.module(), result.item(), result.condition(), LevelName(result.level())}];
      status = std::max(status, value);
      if (value > 0) gauges[{result.condition(), result.reason()}] = 1;
      out.Sample(kDuration, {{"rule", rule}}, static_cast<double>(result.duration_ns()) / 1e9);
      for (const v1::Perfdata& figure : result.perfdata()) {
        out.Sample(kFigure, {{"rule", rule}, {"label", figure.label()}, {"unit", figure.unit()}},
                   figure.value());
      }
    }
    for (const auto& [key, value] : gauges) {
      out.Sample(kGauge, {{"type", key.first}, {"reason", key.second}}, value);
    }
    for (const auto& [key, value] : health) {
      out.Sample(kHealth,
                 {{"module", std::get<0>(key)},
                  {"item", std::get<1>(key)},
                  {"condition", std::get<2>(key)},
                  {"level", std::get<3>(key)}},
                 value);
    }
    return {};
  }

 private:
  const std::shared_ptr<const CheckControl::State> state_;
};

}  // namespace

CheckControl::CheckControl(const v1::AgentConfig& config, const CgroupMounts& mounts,
                           Emitter* emitter, Post post)
    : emitter_(emitter), post_(std::move(post)), state_(std::make_shared<State>()) {
  if (!config.checks().enabled()) return;
  CheckEngineOptions options;
  options.config = config.checks();
  options.host_root = config.host_root();
  options.host_name = config.node();
  options.state_folder = config.state_dir() + "/checks";
  options.cgroup_folder = CheckCgroupFolder(
      mounts.unified.empty() ? "" : FsRoot(config.host_root()).Path(mounts.unified));
  options.find_view = [this](const v1::CheckView& view) { return FindView(view); };
  options.emit = [this](v1::CheckResult result) {
    post_([this, alive = std::weak_ptr<bool>(alive_), kept = std::move(result)]() mutable {
      if (!alive.expired()) Take(std::move(kept));
    });
  };
  options.drop = [this](const char* reason, uint64_t count) {
    post_([this, alive = std::weak_ptr<bool>(alive_), reason, count] {
      if (!alive.expired()) emitter_->Dropped(reason, count);
    });
  };
  engine_ = std::make_unique<CheckEngine>(std::move(options));
}

CheckControl::~CheckControl() { Stop(); }

void CheckControl::Start() {
  if (engine_ != nullptr) engine_->Start();
}

void CheckControl::Stop() {
  if (engine_ != nullptr) engine_->Stop();
}

void CheckControl::Execute(v1::Command command, std::function<void(v1::CommandReply)> reply) {
  if (engine_ == nullptr) {
    v1::CommandReply refusal;
    refusal.set_id(command.id());
    refusal.set_error_code(std::string(ErrorCodeName(ErrorCode::kUnsupported)));
    refusal.set_error_message("checks are " + WhyOff());
    return reply(std::move(refusal));
  }
  engine_->Execute(
      std::move(command), [post = post_, answer = std::move(reply)](v1::CommandReply result) {
        post([answer, kept = std::move(result)]() mutable { answer(std::move(kept)); });
      });
}

void CheckControl::Take(v1::CheckResult result) {
  const bool is_event = result.kind() == v1::CHECK_KIND_EVENT;
  // A problem and its end do not wait; that all is well, as before, is in no hurry.
  bool urgent = IsProblem(result.verdict());
  if (is_event && IsProblem(result.verdict()) && state_->counters.size() < kMaxReasons) {
    state_->counters[result.reason()] += static_cast<double>(std::max<uint64_t>(result.count(), 1));
  }
  if (!is_event && (state_->last.size() < kMaxRules || state_->last.contains(result.rule()))) {
    v1::CheckResult& last = state_->last[result.rule()];
    urgent |= IsProblem(last.verdict());
    if (IsProblem(result.verdict())) {
      // As node-problem-detector: becoming a problem counts once.
      if (!IsProblem(last.verdict())) state_->counters[result.reason()] += 1;
      if (state_->seen.size() < kMaxReasons)
        state_->seen[{result.condition(), result.reason()}] = true;
    }
    last = result;
    last.clear_output();
  }
  emitter_->Check(std::move(result), urgent);
}

void CheckControl::Observe(const LogChunk& chunk) {
  if (engine_ == nullptr || !engine_->WantsJournal()) return;
  std::string unit;
  bool is_journal = false;
  for (const auto& [name, value] : chunk.stream_labels) {
    if (name == "job") is_journal = value == "journal";
    if (name == "unit") unit = value;
  }
  if (!is_journal) return;
  std::vector<CheckEngine::JournalLine> lines;
  for (const LogChunk::Record& record : chunk.records) {
    const auto at = std::ranges::find(record.attributes, "syslog.appname",
                                      [](const auto& attribute) { return attribute.first; });
    lines.push_back({unit, at == record.attributes.end() ? "" : std::string(at->second),
                     record.body, record.time_unix_ns});
  }
  engine_->Offer(std::move(lines));
}

std::unique_ptr<Collector> CheckControl::MakeSeries() const {
  return std::make_unique<CheckSeries>(state_);
}

void CheckControl::SetContainers(const v1::Inventory& inventory) {
  std::vector<v1::ContainerInfo> pods;
  for (const v1::ContainerInfo& container : inventory.containers()) {
    if (!container.subject().pod().empty() && !container.pids().empty()) pods.push_back(container);
  }
  const std::lock_guard lock(containers_mutex_);
  containers_ = std::move(pods);
}

uint32_t CheckControl::FindView(const v1::CheckView& view) const {
  const std::lock_guard lock(containers_mutex_);
  for (const v1::ContainerInfo& container : containers_) {
    const v1::Subject& subject = container.subject();
    if (subject.pod() != view.pod() ||
        (!view.namespace_().empty() && subject.namespace_() != view.namespace_()))
      continue;
    if (!view.container().empty() && subject.container() != view.container()) continue;
    if (view.container().empty() && subject.container() == "POD") continue;  // the sandbox
    return container.pids(0);
  }
  return 0;
}

}  // namespace faultline
