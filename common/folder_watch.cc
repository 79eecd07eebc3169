#include "common/folder_watch.h"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>

#include "common/clock.h"

namespace faultline {
namespace {

constexpr uint32_t kNameEvents =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;
constexpr uint32_t kClosedEvents = IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;

}  // namespace

FolderWatch::FolderWatch(Contents contents)
    : events_(contents == Contents::kClosed ? kClosedEvents : IN_MODIFY | kNameEvents),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      inotify_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
      timer_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = timer_.get()}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, timer_.get(), &event);
  event.data.fd = inotify_.get();
  if (works()) epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, inotify_.get(), &event);
}

bool FolderWatch::Add(const std::string& path, const std::string& host_path) {
  if (!works()) return false;
  if (Watches(path)) return true;
  const int id = inotify_add_watch(inotify_.get(), host_path.c_str(), events_ | IN_ONLYDIR);
  if (id < 0) return false;
  // Two paths to one folder share an id: the first one keeps it, the other is found by rescans.
  if (!by_id_.emplace(id, path).second) return false;
  by_path_[path] = id;
  return true;
}

void FolderWatch::Remove(const std::string& path) {
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) return;
  inotify_rm_watch(inotify_.get(), found->second);
  by_id_.erase(found->second);
  by_path_.erase(found);
}

bool FolderWatch::Take(std::vector<Change>& changes) {
  uint64_t expirations = 0;
  if (read(timer_.get(), &expirations, sizeof expirations) < 0) expirations = 0;
  Listen(true);
  bool complete = true;
  alignas(inotify_event) char buffer[16384];
  while (works()) {
    const ssize_t n = read(inotify_.get(), buffer, sizeof buffer);
    if (n <= 0) break;
    for (const char* at = buffer; at < buffer + n;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event->len;
      if (event->mask & IN_Q_OVERFLOW) complete = false;
      const auto found = by_id_.find(event->wd);
      if (found == by_id_.end()) continue;
      changes.push_back({.path = found->second,
                         .name = event->len > 0 ? std::string(event->name) : std::string(),
                         .names = (event->mask & (kNameEvents | IN_IGNORED)) != 0,
                         .made = (event->mask & IN_CREATE) != 0 && (event->mask & IN_ISDIR) == 0});
      if (event->mask & IN_IGNORED) {
        by_path_.erase(found->second);
        by_id_.erase(found);
      }
    }
  }
  return complete;
}

void FolderWatch::Rest(int64_t ns) {
  Listen(false);
  ns = std::max<int64_t>(ns, 1);
  itimerspec when{};
  when.it_value.tv_sec = ns / kNsPerSecond;
  when.it_value.tv_nsec = ns % kNsPerSecond;
  timerfd_settime(timer_.get(), 0, &when, nullptr);
}

void FolderWatch::Listen(bool on) {
  if (!works()) return;
  epoll_event event{.events = on ? uint32_t{EPOLLIN} : 0u, .data = {.fd = inotify_.get()}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, inotify_.get(), &event);
}

}  // namespace faultline
