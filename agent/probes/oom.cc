// OOM kills: an event that names the container and its memory at that moment, and a count by
// container. The kernel writes a record as it marks the victim; the probe's descriptor wakes the
// agent at once, while /proc and the cgroup may still know the victim.
#include <cstring>
#include <map>

#include "agent/containers/cgroup_files.h"
#include "agent/probes/attributes.h"
#include "agent/probes/bpf_program.h"
#include "agent/probes/probe.h"
#include "agent/probes/probe_books.h"
#include "agent/probes/ring_reader.h"
#include "agent/probes/series_owner.h"
#include "bpf/oom.h"
#include "oom.skel.h"

namespace faultline {
namespace {

constexpr MetricFamily kKills = {
    "container_oom_kills_total", v1::METRIC_TYPE_COUNTER,
    "Processes of the container killed for want of memory, as the kernel marked them."};

class OomProbe final : public Collector {
 public:
  OomProbe(const LeafContext& context, SkeletonPtr<oom_bpf> skeleton)
      : host_(context.host),
        index_(*context.containers),
        skeleton_(std::move(skeleton)),
        books_("oom", skeleton_->obj, skeleton_->bss->accounts) {}

  Result<void> Open() {
    MakeSheddable(books_, *skeleton_);
    FAULTLINE_ASSIGN(ring_, RingReader::Open(bpf_map__fd(skeleton_->maps.ring),
                                             [this](const void* raw, size_t bytes) {
                                               if (bytes < sizeof(oom_record) || out_ == nullptr)
                                                 return;
                                               oom_record record;
                                               std::memcpy(&record, raw, sizeof record);
                                               Deliver(record);
                                             }));
    return {};
  }

  std::optional<int> wake_fd() const override { return ring_->wake_fd(); }

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_TRY(books_.InService());
    books_.RingHeld(ring_->held());
    out_ = &out;
    const Result<void> consumed = ring_->Consume();
    out_ = nullptr;
    std::erase_if(kills_, [&](const auto& entry) {
      return entry.first != "/" && index_.Resolve(Origin{.cgroup_path = entry.first}) == nullptr;
    });
    for (const ContainerIdentity& container : index_.containers()) {
      const auto found = kills_.find(container.cgroup_path);
      const double count = found == kills_.end() ? 0 : static_cast<double>(found->second);
      SampleOfOwner(container.cgroup_path, kKills, {}, count, out);
    }
    SampleOfOwner("/", kKills, {}, static_cast<double>(kills_["/"]), out);
    books_.Emit(out);
    return consumed;
  }

 private:
  const ContainerIdentity* VictimsContainer(const oom_record& record) {
    if (record.cgroup != 0) {
      const KernelOwner owner = index_.ResolveKernelKey(record.cgroup);
      if (owner.container != nullptr || owner.is_node) return owner.container;
    }
    return index_.Resolve(Origin{.pid = record.pid});
  }

  void Deliver(const oom_record& record) {
    const ContainerIdentity* container = VictimsContainer(record);
    ++kills_[container == nullptr ? "/" : container->cgroup_path];
    books_.Delivered(1);
    const std::string comm = TextOf(record.comm);
    v1::Event event;
    event.set_type("oom_kill");
    event.set_severity(v1::SEVERITY_ERROR);
    event.set_time_unix_ns(host_.clock->UnixNs() - host_.clock->SteadyNs() +
                           static_cast<int64_t>(record.at_ns));
    event.mutable_subject()->set_pid(record.pid);
    event.mutable_subject()->set_comm(comm);
    event.set_message(fmt::format("process {} ({}) killed for want of memory in {}", record.pid,
                                  comm,
                                  container == nullptr ? "the node" : container->cgroup_path));
    AddAttribute(event, "trigger_pid", std::to_string(record.killer_pid));
    if (container != nullptr) DescribeMemory(*container, event);
    Origin origin{.pid = record.pid};
    if (container != nullptr)
      origin = {.cgroup_id = container->cgroup_id, .cgroup_path = container->cgroup_path};
    out_->Event(std::move(event), origin);
  }

  void DescribeMemory(const ContainerIdentity& container, v1::Event& event) const {
    auto files = CgroupFiles::Of(host_, &index_, "memory");
    if (!files) return;
    const bool is_v1 = files->is_v1();
    const auto tell = [&](std::string_view name, std::string_view file) {
      if (const auto value = files->ReadUint(container.cgroup_path, file)) {
        AddAttribute(event, name, std::to_string(*value));
      }
    };
    tell("memory_usage_bytes", is_v1 ? "memory.usage_in_bytes" : "memory.current");
    tell("memory_limit_bytes", is_v1 ? "memory.limit_in_bytes" : "memory.max");
    tell("memory_max_usage_bytes", is_v1 ? "memory.max_usage_in_bytes" : "memory.peak");
  }

  const HostView& host_;
  ContainerIndex& index_;
  SkeletonPtr<oom_bpf> skeleton_;
  std::unique_ptr<RingReader> ring_;
  std::map<std::string, uint64_t, std::less<>> kills_;  // by path of the owner
  ProbeBooks books_;
  Emitter* out_ = nullptr;  // during Collect
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeOomProbe(const LeafContext& context) {
  if (context.containers == nullptr) {
    return Fail(ErrorCode::kUnsupported,
                "unsupported: containers are off, or no cgroup file system is mounted");
  }
  const ProgramSet alternatives[] = {{"oom_victim"}, {"oom_victim_tp"}};
  FAULTLINE_ASSIGN(auto skeleton, LoadProbe<oom_bpf>("oom", alternatives, [](oom_bpf&) {}));
  auto probe = std::make_unique<OomProbe>(context, std::move(skeleton));
  FAULTLINE_TRY(probe->Open());
  return probe;
}

}  // namespace faultline
