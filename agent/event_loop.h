// The agent's one thread: timers, descriptors and posted work, on Boost.Asio. The rest of the frame sees only this header,
// so that it can be driven by hand in tests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "common/clock.h"

namespace boost::asio {
class io_context;
}

namespace faultline {

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  boost::asio::io_context& context();

  // Calls `fire` at each multiple of the period on the clock's UTC. A tick that comes too late is skipped, not made up for.
  // There is one such rhythm: another call replaces it, but not from within `fire`.
  void EveryAligned(int64_t period_ns, const Clock* clock, std::function<void()> fire);
  // Calls `fire` once after `delay_ns`; a call for the same slot replaces the one that waits.
  void After(int slot, int64_t delay_ns, std::function<void()> fire);
  // Calls `readable` while `fd` is readable, at most once per `rest_ns`. Returns a number for Unwatch. The descriptor stays
  // the caller's (a duplicate is watched).
  int Watch(int fd, int64_t rest_ns, std::function<void()> readable);
  void Unwatch(int watch);
  void OnSignal(int signal_number, std::function<void()> fire);
  // Thread-safe.
  void Post(std::function<void()> work);
  void Run();
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace faultline
