// Where faults are tried: a victim of our own (cgroup, process, network namespace) with a peer in
// another namespace of ours and a folder of files. The examples of the fault catalogue name its
// parts: {pid} {cgroup} {device} {peer} {port} {folder} {file} {unique}. Nothing here touches the
// host's network, and everything is gone with the stage.
#pragma once

#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

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
  static constexpr uint16_t kPort = 7007;  // the peer answers there what it hears (TCP)

  explicit FaultStage(const HostView& host) : host_(host) {
    victim_.emplace(host, 10, true);
    peer_ = StartInOwnNetwork([] { Echo(); });
    networked_ = victim_->made() && peer_ > 0 && Connect();
    std::filesystem::create_directory(folder());
    tree_.File("stage/file.txt", "one\ntwo\nthree\n");
  }
  ~FaultStage() {
    if (peer_ > 0) {
      kill(peer_, SIGKILL);
      waitpid(peer_, nullptr, 0);
    }
  }
  FaultStage(const FaultStage&) = delete;
  FaultStage& operator=(const FaultStage&) = delete;

  bool made() const { return victim_ && victim_->made(); }
  bool networked() const { return networked_; }
  FaultVictim& victim() { return *victim_; }
  const FaultVictim& victim() const { return *victim_; }
  void EndVictim() { victim_.reset(); }
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
           Run(fmt::format("{}link set dev {} up", victim, kDevice));
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
  bool networked_ = false;
};

}  // namespace faultline
