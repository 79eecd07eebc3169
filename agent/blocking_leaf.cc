#include "agent/blocking_leaf.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <variant>
#include <vector>

namespace faultline {
namespace {

constexpr size_t kMaxRecords = 200000;  // of one pass; what is beyond is counted

struct OwnedOrigin {
  uint64_t cgroup_id = 0;
  std::string cgroup_path;
  uint32_t pid = 0;
  explicit OwnedOrigin(const Origin& origin)
      : cgroup_id(origin.cgroup_id), cgroup_path(origin.cgroup_path), pid(origin.pid) {}
  Origin View() const { return {cgroup_id, cgroup_path, pid}; }
};

struct KeptSample {
  size_t text_at = 0;  // name, help, cgroup path, then names and values of labels, all in `text`
  uint32_t name_size = 0, help_size = 0, path_size = 0;
  uint32_t first_label = 0, labels = 0;
  v1::MetricType type = v1::METRIC_TYPE_UNTYPED;
  bool attributed = false;
  uint64_t cgroup_id = 0;
  uint32_t pid = 0;
  double value = 0;
};
struct KeptEvent {
  v1::Event event;
  OwnedOrigin origin;
};
struct KeptSpan {
  v1::Span span;
  OwnedOrigin origin;
};
struct KeptDrop {
  std::string reason;
  uint64_t count = 0;
};
using Kept = std::variant<KeptSample, KeptEvent, KeptSpan, LogChunk, v1::FaultTransition,
                          v1::Inventory, v1::CheckResult, KeptDrop>;

class Keeper final : public Emitter, public EmittedPass {
 public:
  using Emitter::Sample;
  using Emitter::SampleOf;
  void Sample(const MetricFamily& family, LabelViews labels, double value) override {
    KeepSample({}, false, family, labels, value);
  }
  void SampleOf(const Origin& origin, const MetricFamily& family, LabelViews labels,
                double value) override {
    KeepSample(origin, true, family, labels, value);
  }
  bool Logs(LogChunk&& chunk) override {
    if (records_.size() >= kMaxRecords) return false;
    records_.emplace_back(std::move(chunk));
    return true;
  }
  void Event(v1::Event&& event, const Origin& origin) override {
    if (HasRoom()) records_.emplace_back(KeptEvent{std::move(event), OwnedOrigin(origin)});
  }
  void Span(v1::Span&& span, const Origin& origin) override {
    if (HasRoom()) records_.emplace_back(KeptSpan{std::move(span), OwnedOrigin(origin)});
  }
  void Fault(v1::FaultTransition&& transition) override { records_.emplace_back(std::move(transition)); }
  void Inventory(v1::Inventory&& inventory) override { records_.emplace_back(std::move(inventory)); }
  void Check(v1::CheckResult&& result, bool /*urgent: replayed with the pass*/) override {
    if (HasRoom()) records_.emplace_back(std::move(result));
  }
  void Dropped(std::string_view reason, uint64_t count) override {
    records_.emplace_back(KeptDrop{std::string(reason), count});
  }

  void ReplayInto(Emitter& out) const override {
    for (const Kept& kept : records_) {
      if (const auto* sample = std::get_if<KeptSample>(&kept)) {
        ReplaySample(*sample, out);
      } else if (const auto* event = std::get_if<KeptEvent>(&kept)) {
        out.Event(v1::Event(event->event), event->origin.View());
      } else if (const auto* span = std::get_if<KeptSpan>(&kept)) {
        out.Span(v1::Span(span->span), span->origin.View());
      } else if (const auto* chunk = std::get_if<LogChunk>(&kept)) {
        const size_t lines = chunk->records.size();
        if (!out.Logs(LogChunk(*chunk))) out.Dropped("congested", lines);
      } else if (const auto* transition = std::get_if<v1::FaultTransition>(&kept)) {
        out.Fault(v1::FaultTransition(*transition));
      } else if (const auto* inventory = std::get_if<v1::Inventory>(&kept)) {
        out.Inventory(v1::Inventory(*inventory));
      } else if (const auto* result = std::get_if<v1::CheckResult>(&kept)) {
        out.Check(v1::CheckResult(*result), false);
      } else if (const auto* drop = std::get_if<KeptDrop>(&kept)) {
        out.Dropped(drop->reason, drop->count);
      }
    }
    if (refused_ > 0) out.Dropped("pass_too_large", refused_);
  }

 private:
  struct LabelSizes {
    uint32_t name, value;
  };

  bool HasRoom() {
    if (records_.size() < kMaxRecords) return true;
    ++refused_;
    return false;
  }

  void KeepSample(const Origin& origin, bool attributed, const MetricFamily& family,
                  LabelViews labels, double value) {
    if (!HasRoom()) return;
    KeptSample sample{.text_at = text_.size(),
                      .name_size = static_cast<uint32_t>(family.name.size()),
                      .help_size = static_cast<uint32_t>(family.help.size()),
                      .path_size = static_cast<uint32_t>(origin.cgroup_path.size()),
                      .first_label = static_cast<uint32_t>(labels_.size()),
                      .labels = static_cast<uint32_t>(labels.size()),
                      .type = family.type,
                      .attributed = attributed,
                      .cgroup_id = origin.cgroup_id,
                      .pid = origin.pid,
                      .value = value};
    text_.append(family.name).append(family.help).append(origin.cgroup_path);
    for (const LabelView& label : labels) {
      text_.append(label.name).append(label.value);
      labels_.push_back({static_cast<uint32_t>(label.name.size()), static_cast<uint32_t>(label.value.size())});
    }
    records_.emplace_back(sample);
  }

  void ReplaySample(const KeptSample& sample, Emitter& out) const {
    std::string_view rest = std::string_view(text_).substr(sample.text_at);
    const auto take = [&rest](uint32_t size) {
      const std::string_view part = rest.substr(0, size);
      rest.remove_prefix(size);
      return part;
    };
    MetricFamily family;
    family.name = take(sample.name_size);
    family.help = take(sample.help_size);
    family.type = sample.type;
    const Origin origin{sample.cgroup_id, take(sample.path_size), sample.pid};
    std::vector<LabelView> labels(sample.labels);
    for (uint32_t i = 0; i < sample.labels; ++i) {
      labels[i].name = take(labels_[sample.first_label + i].name);
      labels[i].value = take(labels_[sample.first_label + i].value);
    }
    if (sample.attributed) {
      out.SampleOf(origin, family, LabelViews(labels), sample.value);
    } else {
      out.Sample(family, LabelViews(labels), sample.value);
    }
  }

  std::vector<Kept> records_;
  std::vector<LabelSizes> labels_;
  std::string text_;
  uint64_t refused_ = 0;
};

}  // namespace

struct BlockingLeaf::State {
  std::unique_ptr<Collector> collector;
  const Clock* clock = nullptr;
  std::shared_ptr<const void> keep;
  std::function<void(Outcome)> done;
  std::mutex mutex;
  std::condition_variable wake;
  uint64_t wanted_pass = 0;  // 0: none
  bool stopping = false;
};

BlockingLeaf::BlockingLeaf(std::unique_ptr<Collector> collector, const Clock* clock,
                           std::shared_ptr<const void> keep, std::function<void(Outcome)> done)
    : state_(std::make_shared<State>()) {
  state_->collector = std::move(collector);
  state_->clock = clock;
  state_->keep = std::move(keep);
  state_->done = std::move(done);
  // Detached: a thread that hangs in the kernel can be neither joined nor ended. It owns all it touches.
  std::thread([state = state_] { Run(state); }).detach();
}

BlockingLeaf::~BlockingLeaf() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->wake.notify_all();
}

void BlockingLeaf::Start(uint64_t pass) {
  const std::lock_guard lock(state_->mutex);
  state_->wanted_pass = pass;
  state_->wake.notify_all();
}

void BlockingLeaf::Run(const std::shared_ptr<State>& state) {
  while (true) {
    uint64_t pass = 0;
    {
      std::unique_lock lock(state->mutex);
      state->wake.wait(lock, [&] { return state->stopping || state->wanted_pass != 0; });
      if (state->stopping) return;
      pass = std::exchange(state->wanted_pass, 0);
    }
    auto emitted = std::make_shared<Keeper>();
    const int64_t begin_ns = state->clock->SteadyNs();
    Outcome outcome{.pass = pass, .result = {}, .duration_ns = 0, .emitted = nullptr};
    outcome.result = state->collector->Collect(*emitted);
    outcome.duration_ns = state->clock->SteadyNs() - begin_ns;
    outcome.emitted = std::move(emitted);
    const std::lock_guard lock(state->mutex);
    if (state->stopping) return;
    state->done(std::move(outcome));
  }
}

}  // namespace faultline
