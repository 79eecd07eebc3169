#include "agent/probes/stack_namer.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "common/file_descriptor.h"

namespace faultline {

struct StackNamer::State {
  explicit State(const FsRoot& fs) : names(fs) {}
  StackNames names;  // the thread's alone
  FileDescriptor ready;
  std::mutex mutex;
  std::condition_variable work;
  std::deque<std::function<void()>> jobs;
  std::optional<std::vector<NamedStack>> named;
  bool stopped = false;
};

void StackNamer::Work(const std::shared_ptr<State>& state) {
  pthread_setname_np(pthread_self(), "stack_names");
  std::unique_lock lock(state->mutex);
  while (!state->stopped) {
    if (state->jobs.empty()) {
      state->work.wait(lock);
      continue;
    }
    const std::function<void()> job = std::move(state->jobs.front());
    state->jobs.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

Result<std::unique_ptr<StackNamer>> StackNamer::Start(const FsRoot& fs) {
  const auto state = std::make_shared<State>(fs);
  state->ready = FileDescriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!state->ready) return FailErrno(errno, "make an eventfd");
  std::thread([state] { Work(state); }).detach();
  return std::unique_ptr<StackNamer>(new StackNamer(state));
}

StackNamer::~StackNamer() {
  const std::lock_guard lock(state_->mutex);
  state_->stopped = true;
  state_->work.notify_all();
}

void StackNamer::Look(std::vector<uint32_t> pids) {
  const std::lock_guard lock(state_->mutex);
  state_->jobs.push_back(
      [names = &state_->names, kept = std::move(pids)] { names->Look(kept); });
  state_->work.notify_all();
}

void StackNamer::Name(std::vector<RawStack> stacks) {
  const std::lock_guard lock(state_->mutex);
  state_->jobs.push_back([state = state_.get(), kept = std::move(stacks)] {
    std::vector<NamedStack> named = state->names.Name(kept);
    malloc_trim(0);  // the kernel's symbols took some MB
    const std::lock_guard job_lock(state->mutex);
    state->named = std::move(named);
    const uint64_t one = 1;
    if (write(state->ready.get(), &one, sizeof one) < 0) return;  // full: readable already
  });
  state_->work.notify_all();
}

std::optional<std::vector<NamedStack>> StackNamer::Take() {
  const std::lock_guard lock(state_->mutex);
  uint64_t count = 0;
  if (read(state_->ready.get(), &count, sizeof count) < 0) return std::nullopt;
  return std::exchange(state_->named, std::nullopt);
}

int StackNamer::fd() const { return state_->ready.get(); }

}  // namespace faultline
