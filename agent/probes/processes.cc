// fork, exec and exit of every process: exact counts by container, and an event each (not of forks)
// while they are rare; who killed whom; tasks that hang in the kernel.
// More than kMaxEventsPerPass in a pass (a build, a shell loop) are counted only, and the
// difference is counted as dropped.
#include <cstring>

#include "agent/probes/arguments.h"
#include "agent/probes/attributes.h"
#include "agent/probes/cgroup_counts.h"
#include "agent/probes/probe.h"
#include "agent/probes/probe_books.h"
#include "agent/probes/ring_reader.h"
#include "agent/probes/series_owner.h"
#include "bpf/processes.h"
#include "faultline/v1/config.pb.h"
#include "processes.skel.h"

namespace faultline {
namespace {

constexpr uint64_t kMaxEventsPerPass = 100;
constexpr size_t kWords = sizeof(process_counts) / sizeof(uint64_t);

constexpr MetricFamily kExecs = {"container_process_execs_total", v1::METRIC_TYPE_COUNTER,
                                 "Programs that processes of the container started."};
constexpr MetricFamily kExits = {"container_process_exits_total", v1::METRIC_TYPE_COUNTER,
                                 "Processes of the container that ended."};
constexpr MetricFamily kKilled = {"container_process_killed_total", v1::METRIC_TYPE_COUNTER,
                                  "Processes of the container that a signal ended."};
constexpr MetricFamily kForks = {"container_process_forks_total", v1::METRIC_TYPE_COUNTER,
                                 "Processes that processes of the container made."};
constexpr MetricFamily kHangs = {
    "container_hung_tasks_total", v1::METRIC_TYPE_COUNTER,
    "Times that the kernel found a task of the container hanging in it."};
constexpr MetricFamily kCounted = {
    "faultline_processes_counted_total", v1::METRIC_TYPE_COUNTER,
    "Programs started, by whether anybody knew the cgroup they were started in."};

class ProcessesProbe final : public Collector {
 public:
  ProcessesProbe(const LeafContext& context, SkeletonPtr<processes_bpf> skeleton)
      : host_(context.host),
        index_(*context.containers),
        skeleton_(std::move(skeleton)),
        counts_(bpf_map__fd(skeleton_->maps.counts), kWords, index_),
        shown_(ArgumentsShown(context.config.probes().arguments())),
        books_("processes", skeleton_->obj, skeleton_->bss->accounts) {}

  Result<void> Open() {
    MakeSheddable(books_, *skeleton_);
    FAULTLINE_ASSIGN(
        ring_,
        RingReader::Open(bpf_map__fd(skeleton_->maps.ring), [this](const void* raw, size_t bytes) {
          if (bytes < sizeof(process_record) || out_ == nullptr) return;
          process_record record;
          std::memcpy(&record, raw, sizeof record);
          Deliver(record);
        }));
    return {};
  }

  std::optional<int> wake_fd() const override { return ring_->wake_fd(); }

  Result<void> Collect(Emitter& out) override {
    FAULTLINE_TRY(books_.InService());
    // A pass of its own per second, however often a full ring wakes us.
    const int64_t now_ns = host_.clock->SteadyNs();
    if (now_ns - window_began_ns_ >= kNsPerSecond) {
      window_began_ns_ = now_ns;
      events_in_window_ = 0;
    }
    books_.RingHeld(ring_->held());
    out_ = &out;
    const Result<void> consumed = ring_->Consume();
    out_ = nullptr;
    FAULTLINE_ASSIGN(const CgroupCounts::Tally tally, counts_.Read());
    counted_ += tally.delivered;
    unattributed_ += tally.given_up;
    out.Sample(kCounted, {{"attribution", "owner"}}, static_cast<double>(counted_));
    out.Sample(kCounted, {{"attribution", "nobody"}}, static_cast<double>(unattributed_));
    for (const auto& [path, words] : counts_.totals()) {
      const MetricFamily* const families[kWords] = {&kExecs, &kExits, &kKilled, &kForks, &kHangs};
      for (size_t i = 0; i < kWords; ++i)
        SampleOfOwner(path, *families[i], {}, static_cast<double>(words[i]), out);
    }
    books_.Emit(out);
    return consumed;
  }

 private:
  void Deliver(const process_record& record) {
    if (++events_in_window_ > kMaxEventsPerPass) return books_.Dropped("rate_limited", 1);
    books_.Delivered(1);
    const std::string comm = TextOf(record.comm), file = TextOf(record.file);
    const uint32_t signal = record.exit_code & 0x7F;
    v1::Event event;
    event.set_time_unix_ns(host_.clock->UnixNs() - host_.clock->SteadyNs() +
                           static_cast<int64_t>(record.at_ns));
    event.set_severity(signal != 0 ? v1::SEVERITY_WARN : v1::SEVERITY_INFO);
    event.mutable_subject()->set_pid(record.pid);
    event.mutable_subject()->set_comm(comm);
    AddAttribute(event, "parent_pid", std::to_string(record.parent_pid));
    if (record.step == PROCESS_EXEC) {
      event.set_type("exec");
      event.set_message(fmt::format("{} ({}) runs {}", comm, record.pid, file));
      if (!file.empty()) AddAttribute(event, "file", file);
      const size_t bytes = std::min<size_t>(record.arguments_bytes, sizeof record.arguments);
      const std::string arguments = ArgumentsText({record.arguments, bytes}, shown_);
      if (!arguments.empty()) AddAttribute(event, "arguments", arguments);
    } else if (record.step == PROCESS_HANGS) {
      event.set_type("hung_task");
      event.set_severity(v1::SEVERITY_ERROR);
      event.set_message(fmt::format("{} ({}) hangs in the kernel", comm, record.pid));
    } else {
      DescribeExit(record, comm, event);
    }
    const KernelOwner owner = index_.ResolveKernelKey(record.cgroup);
    Origin origin{.cgroup_path = "/"};
    if (owner.container != nullptr) {
      origin = {.cgroup_id = owner.container->cgroup_id,
                .cgroup_path = owner.container->cgroup_path};
    } else if (!owner.is_node) {
      origin = {.pid = record.pid};
    }
    out_->Event(std::move(event), origin);
  }

  static void DescribeExit(const process_record& record, const std::string& comm,
                           v1::Event& event) {
    event.set_type("exit");
    const uint32_t signal = record.exit_code & 0x7F, code = record.exit_code >> 8 & 0xFF;
    if (signal == 0) {
      event.set_message(fmt::format("{} ({}) exited with {}", comm, record.pid, code));
      return AddAttribute(event, "exit_code", std::to_string(code));
    }
    event.set_message(fmt::format("{} ({}) killed by signal {}", comm, record.pid, signal));
    AddAttribute(event, "signal", std::to_string(signal));
    if (record.sender_pid == 0) return;
    AddAttribute(event, "sender_pid", std::to_string(record.sender_pid));
    AddAttribute(event, "sender", TextOf(record.sender_comm));
  }

  const HostView& host_;
  ContainerIndex& index_;
  SkeletonPtr<processes_bpf> skeleton_;
  CgroupCounts counts_;
  std::unique_ptr<RingReader> ring_;
  const Arguments shown_;
  ProbeBooks books_;
  Emitter* out_ = nullptr;  // during Collect
  int64_t window_began_ns_ = 0;
  uint64_t events_in_window_ = 0;
  uint64_t counted_ = 0;
  uint64_t unattributed_ = 0;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeProcessesProbe(const LeafContext& context) {
  if (context.containers == nullptr) {
    return Fail(ErrorCode::kUnsupported,
                "unsupported: containers are off, or no cgroup file system is mounted");
  }
  // Who killed whom, forks and hung tasks are told where the kernel lets us see them.
  const ProgramSet alternatives[] = {
      {"process_exec", "process_exit", "process_signal", "process_fork", "process_hang"},
      {"process_exec", "process_exit", "process_signal", "process_fork"},
      {"process_exec", "process_exit"},
      {"process_exec_tp", "process_exit_tp"}};
  const bool with_arguments =
      ArgumentsShown(context.config.probes().arguments()) != Arguments::kNone;
  FAULTLINE_ASSIGN(auto skeleton,
                   LoadProbe<processes_bpf>("processes", alternatives, [&](processes_bpf& object) {
                     object.rodata->with_arguments = with_arguments;
                   }));
  auto probe = std::make_unique<ProcessesProbe>(context, std::move(skeleton));
  FAULTLINE_TRY(probe->Open());
  return probe;
}

}  // namespace faultline
