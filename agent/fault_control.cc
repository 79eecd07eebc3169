#include "agent/fault_control.h"

#include <algorithm>

#include "agent/probes/cpu_profile.h"
#include "common/log.h"
#include "faultline/v1/config.pb.h"
#include "common/text.h"

namespace faultline {
namespace {

int64_t ToNs(const google::protobuf::Duration& duration) {
  return duration.seconds() * kNsPerSecond + duration.nanos();
}

// The ports that this agent lives by: those of the aggregators, and its own page.
std::vector<uint16_t> OwnPorts(const v1::AgentConfig& config) {
  std::vector<uint16_t> ports;
  const auto add = [&](std::string_view address) {
    const auto port = ParseUint(address.substr(address.rfind(':') + 1));
    if (port && *port > 0 && *port < 65536) ports.push_back(static_cast<uint16_t>(*port));
  };
  for (const std::string& endpoint : config.uplink().endpoint()) add(endpoint);
  add(config.http().listen());
  return ports;
}

}  // namespace

FaultControl::FaultControl(const v1::AgentConfig& config, const HostView& host, CgroupMounts mounts,
                           Emitter* emitter, Post post)
    : emitter_(emitter),
      post_(std::move(post)),
      allowed_(config.faults().allowed().begin(), config.faults().allowed().end()) {
  FaultEngineOptions options;
  // Switched off, it still undoes what an earlier run left.
  enabled_ = config.faults().enabled();
  options.enabled = enabled_;
  options.state_dir = config.state_dir();
  options.allowed = allowed_;
  options.lease_ns = ToNs(config.faults().lease());
  options.protected_ports = OwnPorts(config);
  options.max_duration_ns = ToNs(config.faults().max_duration());
  auto told = [this](v1::FaultTransition transition) {
    post_([this, alive = alive_, kept = std::move(transition)]() mutable {
      if (!*alive) return;
      CpuProfiler* const profiler = CpuProfiler::Running();
      if (kept.phase() == v1::FAULT_PHASE_INJECTED && profiler != nullptr) profiler->Incident();
      emitter_->Fault(std::move(kept));
    });
  };
  engine_ = std::make_unique<FaultEngine>(std::move(options), host, std::move(mounts), std::move(told));
}

FaultControl::~FaultControl() {
  *alive_ = false;
  if (engine_ != nullptr) engine_->Stop();
}

void FaultControl::Start() {
  if (engine_ == nullptr) return;
  const auto started = engine_->Start();
  if (started) return;
  why_off_ = "off: " + started.error().message;
  spdlog::error("faults are {}", why_off_);
  engine_.reset();
}

void FaultControl::Stop() {
  if (engine_ != nullptr) engine_->Stop();
}

void FaultControl::Execute(v1::Command command, std::function<void(v1::CommandReply)> reply) {
  if (engine_ == nullptr) {
    v1::CommandReply refusal;
    refusal.set_id(command.id());
    refusal.set_error_code(std::string(ErrorCodeName(ErrorCode::kUnsupported)));
    refusal.set_error_message("faults are " + why_off_);
    return reply(std::move(refusal));
  }
  engine_->Handle(std::move(command), [post = post_, answer = std::move(reply)](v1::CommandReply result) {
    post([answer, kept = std::move(result)]() mutable { answer(std::move(kept)); });
  });
}

void FaultControl::RenewLease() {
  if (engine_ != nullptr) engine_->RenewLease();
}

void FaultControl::Containers(const ContainerIndex& index) {
  if (engine_ == nullptr || !engine_->WantsContainers()) return;
  std::vector<LiveContainer> living;
  for (const ContainerIdentity& container : index.containers()) {
    living.push_back({container.name_space, container.pod, container.container,
                      container.container_id, container.cgroup_path});
  }
  engine_->Containers(std::move(living));
}

std::string FaultControl::WhyOff() const { return engine_ == nullptr ? why_off_ : engine_->WhyOff(); }

std::vector<std::string> FaultControl::Names() const {
  std::vector<std::string> names;
  if (engine_ == nullptr || !enabled_) return names;
  for (const FaultRow& row : FaultCatalogue()) {
    const auto listed = [&](std::string_view name) { return std::find(allowed_.begin(), allowed_.end(), name) != allowed_.end(); };
    const bool wanted = row.must_be_allowed ? listed(row.name) : allowed_.empty() || listed("*") || std::find(allowed_.begin(), allowed_.end(), row.name) != allowed_.end();
    if (wanted) names.emplace_back(row.name);
  }
  return names;
}

}  // namespace faultline
