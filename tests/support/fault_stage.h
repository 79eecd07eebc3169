// Where faults are tried: a victim of our own (cgroup, process, network namespace) with a peer in
// another namespace of ours and a folder of files. The examples of the fault catalogue name its
// parts: {pid} {cgroup} {device} {peer} {port} {folder} {file} {unique}. Nothing here touches the
// host's network, and everything is gone with the stage.
#pragma once

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "agent/faults/network_namespace.h"
#include "agent/faults/shell_command.h"
#include "common/text.h"
#include "tests/support/fault_victim.h"
#include "tests/support/temp_tree.h"

namespace faultline {

// A child in a new network namespace; the caller ends it.
inline pid_t StartInOwnNetwork(const std::function<void()>& body) {
  int ready[2];
  if (pipe(ready) != 0) return -1;
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (unshare(CLONE_NEWNET) != 0) _exit(1);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq lo{};
    lo.ifr_name[0] = 'l';
    lo.ifr_name[1] = 'o';
    lo.ifr_flags = IFF_UP;
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) != 0) _exit(1);
    close(fd);
    if (write(ready[1], "r", 1) != 1) _exit(1);
    close(ready[0]);
    close(ready[1]);
    body();
    _exit(0);
  }
  close(ready[1]);
  char byte = 0;
  const bool in = read(ready[0], &byte, 1) == 1;
  close(ready[0]);
  return in ? pid : -1;
}

class FaultStage {
 public:
  static constexpr const char* kDevice = "eth0";
  static constexpr const char* kAddress = "10.99.0.1";
  static constexpr const char* kPeer = "10.99.0.2";
  static constexpr uint16_t kHttpPort = 8080;  // of the victim: any request is answered with 200
  static constexpr uint16_t kPort = 7007;      // the peer answers there what it hears (TCP)

  explicit FaultStage(const HostView& host) : host_(host) {
    victim_.emplace(host, 10, true);
    peer_ = StartInOwnNetwork([] { Echo(); });
    networked_ = victim_->made() && peer_ > 0 && Connect();
    std::filesystem::create_directory(folder());
    tree_.File("stage/file.txt", "one\ntwo\nthree\n");
    if (networked_) server_ = StartInNetworkOf(victim_->pid(), [] { ServeHttp(); });
    if (made()) reader_ = StartReader();
  }
  ~FaultStage() {
    for (const pid_t pid : {peer_, server_, reader_}) {
      if (pid <= 0) continue;
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
  }
  FaultStage(const FaultStage&) = delete;
  FaultStage& operator=(const FaultStage&) = delete;

  bool made() const { return victim_ && victim_->made(); }
  bool networked() const { return networked_; }
  FaultVictim& victim() { return *victim_; }
  const FaultVictim& victim() const { return *victim_; }
  void EndVictim() {
    for (pid_t* pid : {&reader_, &server_}) {
      if (*pid <= 0) continue;
      kill(*pid, SIGKILL);
      waitpid(*pid, nullptr, 0);
      *pid = -1;
    }
    victim_.reset();
  }
  pid_t peer_pid() const { return peer_; }
  std::string folder() const { return tree_.root() + "/stage"; }
  std::string file() const { return folder() + "/file.txt"; }

  // An example of the catalogue as parameters for this stage.
  std::map<std::string, std::string> Parameters(std::string_view example) const {
    std::map<std::string, std::string> parameters;
    std::string_view rest = example;
    for (std::string_view word = NextWord(rest); !word.empty(); word = NextWord(rest)) {
      const size_t equals = word.find('=');
      parameters[std::string(word.substr(0, equals))] = Fill(std::string(word.substr(equals + 1)));
    }
    return parameters;
  }
  std::string Fill(std::string text) const {
    const std::pair<std::string, std::string> parts[] = {
        {"{pid}", std::to_string(victim_ ? victim_->pid() : 0)},
        {"{cgroup}", victim_ ? victim_->path() : ""},
        {"{device}", kDevice},
        {"{peer}", kPeer},
        {"{port}", std::to_string(kPort)},
        {"{http_port}", std::to_string(kHttpPort)},
        {"{folder}", folder()},
        {"{file}", file()},
        {"{unique}", fmt::format("{}", getpid())}};
    for (const auto& [name, value] : parts) {
      for (size_t at = text.find(name); at != std::string::npos; at = text.find(name))
        text.replace(at, name.size(), value);
    }
    return text;
  }

  // A program with blank-separated arguments; whether it succeeded.
  static bool Run(const std::string& command) {
    std::vector<std::string> words = {"/usr/bin/env"};
    std::string_view rest = command;
    for (std::string_view word = NextWord(rest); !word.empty(); word = NextWord(rest))
      words.emplace_back(word);
    const auto outcome = RunProgram(words, {}, 10 * kNsPerSecond);
    return outcome && outcome->exit_code == 0;
  }

 private:
  // A pair of devices, one end in either namespace.
  bool Connect() {
    const std::string peer = fmt::format("nsenter --net=/proc/{}/ns/net ip ", peer_);
    const std::string victim = fmt::format("nsenter --net=/proc/{}/ns/net ip ", victim_->pid());
    return Run(fmt::format("{}link add {} type veth peer name {} netns {}", peer, kDevice, kDevice,
                           victim_->pid())) &&
           Run(fmt::format("{}address add {}/24 dev {}", peer, kPeer, kDevice)) &&
           Run(fmt::format("{}link set dev {} up", peer, kDevice)) &&
           Run(fmt::format("{}address add {}/24 dev {}", victim, kAddress, kDevice)) &&
           Run(fmt::format("{}link set dev {} up", victim, kDevice)) &&
           Run(fmt::format("{}link set dev lo up", victim)) &&
           Run(fmt::format("{}route add default via {} dev {}", victim, kPeer, kDevice));
  }
  // A child in the network namespace of another process.
  static pid_t StartInNetworkOf(pid_t whose, const std::function<void()>& body) {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = open(fmt::format("/proc/{}/ns/net", whose).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) _exit(1);
    body();
    _exit(0);
  }
  [[noreturn]] static void ServeHttp() {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(kHttpPort);
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener, 64) != 0) {
      _exit(1);
    }
    signal(SIGPIPE, SIG_IGN);
    while (true) {
      const int client = accept(listener, nullptr, nullptr);
      if (client < 0) continue;
      std::string request;
      char buffer[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t n = read(client, buffer, sizeof buffer);
        if (n <= 0) break;
        request.append(buffer, static_cast<size_t>(n));
      }
      // What was asked is the body: a test sees what arrived.
      const std::string body = request.substr(0, request.find("\r\n")) + "\n";
      const std::string answer = fmt::format(
          "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n"
          "Connection: close\r\n\r\n{}",
          body.size(), body);
      (void)!write(client, answer.data(), answer.size());
      close(client);
    }
  }
  // Lives in the victim's network and cgroup and reads the file again and again.
  pid_t StartReader() const {
    const std::string path = file();
    int ready[2];
    if (pipe(ready) != 0) return -1;
    const pid_t pid = StartInNetworkOf(victim_->pid(), [&] {
      (void)!write(ready[1], "r", 1);
      while (true) {
        struct stat status{};
        (void)!stat(path.c_str(), &status);
        const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        char buffer[64];
        if (fd >= 0) {
          (void)!read(fd, buffer, sizeof buffer);
          close(fd);
        }
        usleep(20'000);
      }
    });
    char byte = 0;
    close(ready[1]);
    (void)!read(ready[0], &byte, 1);
    close(ready[0]);
    for (const CgroupFolder& folder : victim_->folders())
      (void)WriteControl(host_, folder.path + "/cgroup.procs", std::to_string(pid));
    return pid;
  }
  [[noreturn]] static void Echo() {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(kPort);
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener, 16) != 0) {
      _exit(1);
    }
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    while (true) {
      const int client = accept(listener, nullptr, nullptr);
      if (client < 0) continue;
      if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        char buffer[4096];
        for (ssize_t n = read(client, buffer, sizeof buffer); n > 0;
             n = read(client, buffer, sizeof buffer)) {
          if (write(client, buffer, static_cast<size_t>(n)) != n) break;
        }
        _exit(0);
      }
      close(client);
    }
  }

  const HostView& host_;
  TempTree tree_;
  std::optional<FaultVictim> victim_;
  pid_t peer_ = -1;
  pid_t server_ = -1;
  pid_t reader_ = -1;
  bool networked_ = false;
};

}  // namespace faultline
