// Labels live in memory, by uid, and each is a document in the store. They are written with our
// clock's times, because the node's offset is known only while its messages arrive; the transitions
// in the store fill in what a crash kept from becoming a document. Hearing the same transition
// twice changes nothing: a begin stays as first heard, and an end is never taken back.
//
// Limit: 50,000 labels; the oldest ended ones are forgotten beyond that.
#include "aggregator/labels/ground_truth.h"

#include <algorithm>
#include <mutex>

#include "aggregator/labels/label_json.h"
#include "common/log.h"

namespace faultline {
namespace {

constexpr std::string_view kDocumentKind = "label";
constexpr size_t kMaxLabels = 50'000;

bool EndsBefore(const FaultLabel& label, int64_t time_unix_ns) {
  return label.end_unix_ns != 0 && label.end_unix_ns < time_unix_ns;
}

}  // namespace

struct GroundTruth::Impl {
  explicit Impl(Store* the_store) : store(the_store) {}

  // False when the transition adds nothing.
  bool Take(const std::string& node, const v1::FaultTransition& transition,
            int64_t clock_offset_ns);
  void Save(const FaultLabel& label) {
    const auto saved =
        store->PutDocument(kDocumentKind, label.uid, boost::json::serialize(LabelToJson(label)));
    if (!saved) spdlog::error("label {} cannot be kept: {}", label.uid, saved.error().message);
  }
  void Trim();

  Store* const store;
  mutable std::mutex mutex;
  std::map<std::string, FaultLabel> labels;
};

bool GroundTruth::Impl::Take(const std::string& node, const v1::FaultTransition& transition,
                             int64_t clock_offset_ns) {
  const int64_t time_unix_ns = transition.time_unix_ns() - clock_offset_ns;
  if (transition.fault() == "task") return false;  // a step of a workflow, no fault
  auto at = labels.find(transition.fault_uid());
  const bool begins = transition.phase() == v1::FAULT_PHASE_INJECTED;
  const bool ends = transition.phase() == v1::FAULT_PHASE_RECOVERED ||
                    transition.phase() == v1::FAULT_PHASE_FAILED;
  if (at == labels.end()) {
    // A fault that was never in force is no label; one whose begin was lost on the way is at least
    // its end.
    if (!begins && transition.phase() != v1::FAULT_PHASE_RECOVERED) return false;
    FaultLabel& label = labels[transition.fault_uid()];
    label.uid = transition.fault_uid();
    label.experiment = transition.experiment();
    label.fault = transition.fault();
    label.node = node;
    label.target = transition.target();
    label.begin_unix_ns = time_unix_ns;
    label.parameters.insert(transition.parameters().begin(), transition.parameters().end());
    label.message = begins ? transition.message() : "when it began is not known";
    label.phase = v1::FAULT_PHASE_INJECTED;
    if (begins) return true;
    at = labels.find(transition.fault_uid());
  }
  FaultLabel& label = at->second;
  if (label.node != node || label.source != "injected")
    return false;  // another node's, or a person's
  if (transition.phase() == v1::FAULT_PHASE_VERIFIED &&
      label.effect.verdict() == v1::VERDICT_UNSPECIFIED) {
    label.effect = transition.effect();
    if (label.end_unix_ns == 0) label.phase = v1::FAULT_PHASE_VERIFIED;
    return true;
  }
  if (!ends) return false;
  const bool news = label.end_unix_ns == 0 ||
                    (label.after.verdict() == v1::VERDICT_UNSPECIFIED && transition.has_effect());
  if (label.end_unix_ns == 0) label.end_unix_ns = std::max(time_unix_ns, label.begin_unix_ns);
  label.phase = transition.phase();
  if (transition.has_effect()) label.after = transition.effect();
  label.residue.assign(transition.residue().begin(), transition.residue().end());
  if (!transition.cause_of_end().empty()) {
    label.message = fmt::format("{}: {}", transition.cause_of_end(), transition.message());
  }
  return news;
}

void GroundTruth::Impl::Trim() {
  while (labels.size() > kMaxLabels) {
    auto oldest = labels.end();
    for (auto at = labels.begin(); at != labels.end(); ++at) {
      if (at->second.end_unix_ns == 0) continue;
      if (oldest == labels.end() || at->second.end_unix_ns < oldest->second.end_unix_ns)
        oldest = at;
    }
    if (oldest == labels.end()) return;
    (void)store->DeleteDocument(kDocumentKind, oldest->first);
    labels.erase(oldest);
  }
}

GroundTruth::GroundTruth(Store* store) : impl_(std::make_unique<Impl>(store)) {}
GroundTruth::~GroundTruth() = default;

Result<void> GroundTruth::Load() {
  FAULTLINE_ASSIGN(const auto documents, impl_->store->ListDocuments(kDocumentKind));
  FAULTLINE_ASSIGN(const auto faults, impl_->store->Faults(0, INT64_MAX));
  const std::lock_guard lock(impl_->mutex);
  for (const auto& [name, text] : documents) {
    boost::system::error_code bad;
    const boost::json::value value = boost::json::parse(text, bad);
    auto label =
        bad ? Result<FaultLabel>(Fail(ErrorCode::kCorruption, "no JSON")) : LabelFromJson(value);
    if (!label) {
      spdlog::error("label {} cannot be read: {}", name, label.error().message);
      continue;
    }
    impl_->labels[name] = *std::move(label);
  }
  for (const StoredFault& fault : faults) {
    if (impl_->Take(fault.node, fault.transition, 0))
      impl_->Save(impl_->labels[fault.transition.fault_uid()]);
  }
  impl_->Trim();
  return {};
}

void GroundTruth::Apply(const std::string& node, const v1::FaultTransition& transition,
                        int64_t clock_offset_ns) {
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->Take(node, transition, clock_offset_ns)) return;
  impl_->Save(impl_->labels[transition.fault_uid()]);
  impl_->Trim();
}

std::vector<FaultLabel> GroundTruth::Between(int64_t begin_unix_ns, int64_t end_unix_ns) const {
  std::vector<FaultLabel> found;
  {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& [uid, label] : impl_->labels) {
      if (label.begin_unix_ns <= end_unix_ns && !EndsBefore(label, begin_unix_ns))
        found.push_back(label);
    }
  }
  std::sort(found.begin(), found.end(), [](const FaultLabel& a, const FaultLabel& b) {
    return a.begin_unix_ns < b.begin_unix_ns;
  });
  return found;
}

std::vector<FaultLabel> GroundTruth::Active() const {
  std::vector<FaultLabel> found = Between(INT64_MIN, INT64_MAX);
  std::erase_if(found, [](const FaultLabel& label) { return label.end_unix_ns != 0; });
  return found;
}

std::optional<FaultLabel> GroundTruth::Find(const std::string& uid) const {
  const std::lock_guard lock(impl_->mutex);
  const auto at = impl_->labels.find(uid);
  return at == impl_->labels.end() ? std::nullopt : std::optional(at->second);
}

Result<void> GroundTruth::Add(FaultLabel label) {
  if (label.fault.empty()) return Fail(ErrorCode::kInvalidArgument, "fault: is missing");
  if (label.begin_unix_ns <= 0) return Fail(ErrorCode::kInvalidArgument, "begin: is missing");
  if (label.end_unix_ns != 0 && label.end_unix_ns < label.begin_unix_ns) {
    return Fail(ErrorCode::kInvalidArgument, "end: lies before begin");
  }
  if (label.source != "manual" && label.source != "imported") {
    return Fail(ErrorCode::kInvalidArgument, "source: '{}' is neither manual nor imported",
                label.source);
  }
  // Importing the same file twice makes the same labels.
  if (label.uid.empty()) {
    label.uid = fmt::format("{}-{}-{}-{}-{}", label.source, label.fault, label.node,
                            label.target.cgroup() + label.target.pod() + label.target.container(),
                            label.begin_unix_ns);
  }
  if (label.uid.find('\0') != std::string::npos)
    return Fail(ErrorCode::kInvalidArgument, "uid: has a NUL");
  if (label.phase == v1::FAULT_PHASE_UNSPECIFIED) {
    label.phase = label.end_unix_ns == 0 ? v1::FAULT_PHASE_INJECTED : v1::FAULT_PHASE_RECOVERED;
  }
  const std::lock_guard lock(impl_->mutex);
  const auto at = impl_->labels.find(label.uid);
  if (at != impl_->labels.end() && at->second.source == "injected") {
    return Fail(ErrorCode::kInvalidArgument, "uid: '{}' is the label of an injected fault",
                label.uid);
  }
  FAULTLINE_TRY(impl_->store->PutDocument(kDocumentKind, label.uid,
                                          boost::json::serialize(LabelToJson(label))));
  const std::string uid = label.uid;
  impl_->labels[uid] = std::move(label);
  impl_->Trim();
  return {};
}

Result<void> GroundTruth::Remove(const std::string& uid) {
  const std::lock_guard lock(impl_->mutex);
  const auto at = impl_->labels.find(uid);
  if (at == impl_->labels.end()) return Fail(ErrorCode::kNotFound, "no label '{}'", uid);
  if (at->second.source == "injected") {
    return Fail(ErrorCode::kPermissionDenied, "label '{}' is of an injected fault and stays", uid);
  }
  FAULTLINE_TRY(impl_->store->DeleteDocument(kDocumentKind, uid));
  impl_->labels.erase(at);
  return {};
}

}  // namespace faultline
