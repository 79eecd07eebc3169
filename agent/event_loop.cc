#include "agent/event_loop.h"

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <vector>

#include "common/log.h"

namespace faultline {

namespace asio = boost::asio;
using Failure = boost::system::error_code;

struct EventLoop::Impl {
  struct Aligned {
    Aligned(asio::io_context& context, int64_t period, const Clock* at, std::function<void()> call)
        : timer(context), period_ns(period), clock(at), fire(std::move(call)) {}
    asio::steady_timer timer;
    int64_t period_ns;
    const Clock* clock;
    std::function<void()> fire;
    int64_t next_unix_ns = 0;  // the multiple that is waited for
  };
  struct Watched {
    Watched(asio::io_context& context, int fd, int64_t rest, std::function<void()> call)
        : descriptor(context, fd), pause(context), rest_ns(rest), readable(std::move(call)) {}
    asio::posix::stream_descriptor descriptor;
    asio::steady_timer pause;
    int64_t rest_ns;
    std::function<void()> readable;
  };
  struct Signal {
    Signal(asio::io_context& context, int number, std::function<void()> call)
        : set(context, number), fire(std::move(call)) {}
    asio::signal_set set;
    std::function<void()> fire;
  };

  asio::io_context context{1};
  std::unique_ptr<Aligned> aligned;
  std::map<int, asio::steady_timer> slots;
  std::map<int, std::shared_ptr<Watched>> watches;
  std::vector<std::unique_ptr<Signal>> signals;
  int next_watch = 1;

  void Schedule(Aligned* tick) {
    const int64_t now_ns = tick->clock->UnixNs();
    // From multiple to multiple, not from now: the timer runs on another clock and may fire a little early, which must not
    // make two ticks of one. Late ticks, and clocks that were set, start afresh.
    tick->next_unix_ns += tick->period_ns;
    if (tick->next_unix_ns <= now_ns || tick->next_unix_ns > now_ns + 2 * tick->period_ns) {
      tick->next_unix_ns = (now_ns / tick->period_ns + 1) * tick->period_ns;
    }
    tick->timer.expires_after(std::chrono::nanoseconds(tick->next_unix_ns - now_ns));
    tick->timer.async_wait([this, tick](const Failure& failure) {
      if (failure) return;
      tick->fire();
      Schedule(tick);
    });
  }

  void Wait(const std::shared_ptr<Watched>& watch) {
    watch->descriptor.async_wait(
        asio::posix::stream_descriptor::wait_read,
        [this, weak = std::weak_ptr<Watched>(watch)](const Failure& failure) {
          const auto live = weak.lock();
          if (failure || !live) return;
          live->readable();
          if (!live->descriptor.is_open()) return;  // unwatched by its own call
          if (live->rest_ns == 0) return Wait(live);
          live->pause.expires_after(std::chrono::nanoseconds(live->rest_ns));
          live->pause.async_wait([this, weak](const Failure& stopped) {
            if (const auto rested = weak.lock(); rested && !stopped) Wait(rested);
          });
        });
  }

  void Listen(Signal* signal) {
    signal->set.async_wait([this, signal](const Failure& failure, int) {
      if (failure) return;
      signal->fire();
      Listen(signal);
    });
  }
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

asio::io_context& EventLoop::context() { return impl_->context; }

void EventLoop::EveryAligned(int64_t period_ns, const Clock* clock, std::function<void()> fire) {
  impl_->aligned = std::make_unique<Impl::Aligned>(impl_->context, period_ns, clock, std::move(fire));
  impl_->Schedule(impl_->aligned.get());
}

void EventLoop::After(int slot, int64_t delay_ns, std::function<void()> fire) {
  auto& timer = impl_->slots.try_emplace(slot, impl_->context).first->second;
  timer.expires_after(std::chrono::nanoseconds(delay_ns));
  timer.async_wait([call = std::move(fire)](const Failure& failure) {
    if (!failure) call();
  });
}

int EventLoop::Watch(int fd, int64_t rest_ns, std::function<void()> readable) {
  const int copy = dup(fd);
  if (copy < 0) {
    spdlog::error("watch descriptor {}: {}", fd, std::strerror(errno));
    return 0;
  }
  const int number = impl_->next_watch++;
  try {
    auto watch = std::make_shared<Impl::Watched>(impl_->context, copy, rest_ns, std::move(readable));
    impl_->watches.emplace(number, watch);
    impl_->Wait(watch);
  } catch (const boost::system::system_error& e) {
    spdlog::error("watch descriptor {}: {}", fd, e.what());
    close(copy);
    return 0;
  }
  return number;
}

void EventLoop::Unwatch(int watch) {
  const auto at = impl_->watches.find(watch);
  if (at == impl_->watches.end()) return;
  Failure ignored;
  at->second->descriptor.close(ignored);
  at->second->pause.cancel();
  impl_->watches.erase(at);
}

void EventLoop::OnSignal(int signal_number, std::function<void()> fire) {
  impl_->signals.push_back(
      std::make_unique<Impl::Signal>(impl_->context, signal_number, std::move(fire)));
  impl_->Listen(impl_->signals.back().get());
}

void EventLoop::Post(std::function<void()> work) { asio::post(impl_->context, std::move(work)); }

void EventLoop::Run() { impl_->context.run(); }

void EventLoop::Stop() { impl_->context.stop(); }

}  // namespace faultline
