// Probes of a FaultStage that know nothing of faults: ping, a TCP transfer, an HTTP client, a
// reader of a file, and a process of any work in the target's cgroups and network that tells what
// it sees in memory shared with the test.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "agent/faults/network_namespace.h"
#include "common/text.h"
#include "tests/support/fault_stage.h"

namespace faultline {

inline std::string ProgramOutput(std::vector<std::string> words) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return "";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  const bool started = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ) == 0;
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; started && (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  close(ends[0]);
  if (started) waitpid(pid, nullptr, 0);
  return text;
}

inline std::string NetworkFileOf(pid_t pid) { return fmt::format("/proc/{}/ns/net", pid); }

struct Pinged {
  double sent = 0, received = 0, duplicates = 0, median_ms = 0;
  std::vector<double> times_ms;  // by sequence; negative: lost
  double Lost() const { return sent > 0 ? 100 * (sent - received) / sent : 100; }
};

// From the victim to the peer.
inline Pinged PingPeer(const FaultStage& stage, int pings, double interval_s) {
  const std::string text = ProgramOutput(
      {"nsenter", "--net=" + NetworkFileOf(stage.victim().pid()), "ping", "-n", "-c",
       std::to_string(pings), "-i", fmt::format("{}", interval_s), "-W", "1", FaultStage::kPeer});
  const auto before = [&](const std::string& mark) {
    const size_t at = text.find(mark);
    if (at == std::string::npos) return 0.0;
    size_t from = at;
    while (from > 0 && (std::isdigit(text[from - 1]) != 0 || text[from - 1] == '.')) --from;
    return ParseDouble(text.substr(from, at - from)).value_or(0);
  };
  Pinged pinged;
  pinged.sent = before(" packets transmitted");
  pinged.received = before(" received");
  pinged.duplicates = before(" duplicates");
  pinged.times_ms.assign(static_cast<size_t>(pinged.sent), -1);
  std::vector<double> times;  // the median: a busy machine delays some of them further
  for (size_t at = 0; (at = text.find("icmp_seq=", at)) != std::string::npos; ++at) {
    std::string_view rest = std::string_view(text).substr(at + 9);
    rest = rest.substr(0, rest.find('\n'));
    const auto sequence = ParseUint(NextWord(rest)).value_or(0);
    const size_t time = rest.find("time=");
    if (time == std::string_view::npos) continue;
    rest.remove_prefix(time + 5);
    times.push_back(ParseDouble(NextWord(rest)).value_or(0));
    const size_t index = (sequence - 1) % 65536;
    if (index < pinged.times_ms.size() && pinged.times_ms[index] < 0)
      pinged.times_ms[index] = times.back();
  }
  std::sort(times.begin(), times.end());
  if (!times.empty()) pinged.median_ms = times[times.size() / 2];
  return pinged;
}

// Bytes per second that reach the peer and come back, after the first 64 KiB.
inline double EchoBytesPerS(const FaultStage& stage, size_t bytes) {
  double rate = 0;
  (void)InNetworkNamespace(NetworkFileOf(stage.victim().pid()), [&]() -> Result<void> {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(FaultStage::kPort);
    inet_pton(AF_INET, FaultStage::kPeer, &address.sin_addr);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      close(fd);
      return {};
    }
    std::thread writer([&] {
      const std::string block(16384, 'b');
      for (size_t sent = 0; sent < bytes; sent += block.size()) {
        if (send(fd, block.data(), block.size(), MSG_NOSIGNAL) <= 0) break;
      }
      shutdown(fd, SHUT_WR);
    });
    size_t received = 0, counted = 0;
    std::chrono::steady_clock::time_point begin, last;
    char buffer[65536];
    for (ssize_t n = 0; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
      last = std::chrono::steady_clock::now();
      if (received >= 65536) counted += static_cast<size_t>(n);
      if (received < 65536) begin = last;
      received += static_cast<size_t>(n);
    }
    writer.join();
    close(fd);
    rate = static_cast<double>(counted) / std::chrono::duration<double>(last - begin).count();
    return {};
  });
  return rate;
}

struct HttpAnswer {
  std::string text;
  double ms = 0;
};
// From the peer's namespace, as a client would.
inline HttpAnswer AskVictim(const FaultStage& stage, const std::string& path,
                            const std::string& headers = "") {
  HttpAnswer answer;
  (void)InNetworkNamespace(NetworkFileOf(stage.peer_pid()), [&]() -> Result<void> {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(FaultStage::kHttpPort);
    inet_pton(AF_INET, FaultStage::kAddress, &address.sin_addr);
    const auto begin = std::chrono::steady_clock::now();
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      const std::string request =
          "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + "\r\n";
      (void)send(fd, request.data(), request.size(), MSG_NOSIGNAL);
      char buffer[4096];
      pollfd event{fd, POLLIN, 0};
      while (poll(&event, 1, 3000) > 0) {
        const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        if (n <= 0) break;
        answer.text.append(buffer, static_cast<size_t>(n));
      }
    }
    answer.ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    close(fd);
    return {};
  });
  return answer;
}

// Reads a file again and again and counts what it sees.
struct FileSeen {
  std::atomic<uint64_t> reads = 0, failures = 0, wrong = 0, other_mode = 0, late = 0, ns = 0;
};

// A child that does `once` again and again, in the victim's cgroups and network where `inside`;
// Seen is in memory that both share.
template <typename Seen>
class SharedChild {
 public:
  SharedChild(const HostView& host, const FaultStage* inside,
              const std::function<void(Seen&)>& once) {
    void* memory =
        mmap(nullptr, sizeof(Seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    seen = new (memory) Seen;
    int go[2];
    if (pipe2(go, O_CLOEXEC) != 0) return;
    pid = fork();
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      char byte = 0;
      close(go[1]);
      if (inside != nullptr && inside->networked()) {
        const int network =
            open(NetworkFileOf(inside->victim().pid()).c_str(), O_RDONLY | O_CLOEXEC);
        if (setns(network, CLONE_NEWNET) != 0) _exit(1);
        close(network);
      }
      if (read(go[0], &byte, 1) != 1) _exit(1);
      close(go[0]);
      while (true) once(*seen);
    }
    close(go[0]);
    if (inside != nullptr) {
      for (const CgroupFolder& folder : inside->victim().folders())
        (void)WriteControl(host, folder.path + "/cgroup.procs", std::to_string(pid));
    }
    (void)!write(go[1], "g", 1);
    close(go[1]);
  }
  ~SharedChild() {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    munmap(seen, sizeof(Seen));
  }
  SharedChild(const SharedChild&) = delete;
  SharedChild& operator=(const SharedChild&) = delete;
  v1::Subject target() const {
    v1::Subject subject;
    subject.set_pid(static_cast<uint32_t>(pid));
    return subject;
  }

  Seen* seen = nullptr;
  pid_t pid = -1;
};

class FileReader : public SharedChild<FileSeen> {
 public:
  FileReader(const HostView& host, const std::string& path)
      : SharedChild(host, nullptr, [path](FileSeen& counts) { One(path, counts); }) {}
  struct Rates {
    double failures = 0, wrong = 0, other_mode = 0, late = 0, mean_ms = 0;
    uint64_t reads = 0;
  };
  // In per cent of the next `reads`; nullopt: they took more than a minute.
  std::optional<Rates> During(uint64_t reads) const {
    const uint64_t first = seen->reads, failures = seen->failures, wrong = seen->wrong,
                   mode = seen->other_mode, late = seen->late, ns = seen->ns;
    if (!Eventually(60'000, [&] { return seen->reads - first >= reads; })) return std::nullopt;
    Rates rates;
    rates.reads = seen->reads - first;
    const double all = static_cast<double>(rates.reads);
    const auto share = [&](uint64_t now, uint64_t before) {
      return 100 * static_cast<double>(now - before) / all;
    };
    rates.failures = share(seen->failures, failures);
    rates.wrong = share(seen->wrong, wrong);
    rates.other_mode = share(seen->other_mode, mode);
    rates.late = share(seen->late, late);
    rates.mean_ms = static_cast<double>(seen->ns - ns) / all / 1e6;
    return rates;
  }

 private:
  static void One(const std::string& path, FileSeen& counts) {
    struct stat status {};
    if (stat(path.c_str(), &status) == 0 && (status.st_mode & 07777) == 0110) ++counts.other_mode;
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    char buffer[64] = {};
    const auto begin = std::chrono::steady_clock::now();
    const ssize_t n = read(fd, buffer, sizeof buffer);
    const auto ns = std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count();
    counts.ns += static_cast<uint64_t>(ns);
    if (ns > 10'000'000) ++counts.late;
    if (n < 0 && errno == EIO) ++counts.failures;
    if (n > 0 && std::string_view(buffer, static_cast<size_t>(n)) != "one\ntwo\nthree\n")
      ++counts.wrong;
    close(fd);
    ++counts.reads;
    usleep(500);
  }
};

}  // namespace faultline
