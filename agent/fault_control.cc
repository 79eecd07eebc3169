#include "agent/fault_control.h"

#include <algorithm>

#include "common/log.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

int64_t ToNs(const google::protobuf::Duration& duration) {
  return duration.seconds() * kNsPerSecond + duration.nanos();
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
  options.max_duration_ns = ToNs(config.faults().max_duration());
  auto told = [this](v1::FaultTransition transition) {
    post_([this, alive = alive_, kept = std::move(transition)]() mutable {
      if (*alive) emitter_->Fault(std::move(kept));
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

std::string FaultControl::WhyOff() const { return engine_ == nullptr ? why_off_ : engine_->WhyOff(); }

std::vector<std::string> FaultControl::Names() const {
  std::vector<std::string> names;
  if (engine_ == nullptr || !enabled_) return names;
  for (const FaultRow& row : FaultCatalogue()) {
    const bool wanted = allowed_.empty() || std::find(allowed_.begin(), allowed_.end(), row.name) != allowed_.end();
    if (wanted) names.emplace_back(row.name);
  }
  return names;
}

}  // namespace faultline
