// What the syscalls probe adds to a system call, in CPU nanoseconds: getppid in a tight loop on one
// CPU, interleaved rounds without and with the probe in each of its modes, and with bpftrace's
// histogram by cgroup and call, medians; then what two real workloads take, with and without all
// probes; and what one pass of reading costs.
//   syscalls_probe_bench [cost|work|passes]…      FAULTLINE_ROUNDS: of work (9)
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "agent/probes/probe.h"
#include "faultline/v1/config.pb.h"
#include "tests/support/recording_emitter.h"

extern char** environ;

namespace faultline {
namespace {

constexpr int kCalls = 1'500'000;
constexpr int kRounds = 7;
constexpr char kProgram[] =
    "BEGIN { printf(\"ready\\n\"); } "
    "tracepoint:raw_syscalls:sys_enter { @s[tid] = nsecs; } "
    "tracepoint:raw_syscalls:sys_exit /@s[tid]/ "
    "{ @h[cgroup, args->id] = hist(nsecs - @s[tid]); delete(@s[tid]); } "
    "END { clear(@s); clear(@h); }";

double Ns(const timeval& t) {
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_usec) * 1e3;
}

double CpuNs() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return Ns(usage.ru_utime) + Ns(usage.ru_stime);
}

double NsPerCall() {
  const double before = CpuNs();
  for (int i = 0; i < kCalls; ++i) syscall(SYS_getppid);
  return (CpuNs() - before) / kCalls;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Print(const char* what, const std::vector<double>& values) {
  std::printf("%-34s %7.1f ns  [%.1f..%.1f] n=%zu\n", what, Median(values),
              *std::min_element(values.begin(), values.end()),
              *std::max_element(values.begin(), values.end()), values.size());
}

long PssKib() {
  std::ifstream file("/proc/self/smaps_rollup");
  std::string word;
  long kib = 0;
  while (file >> word) {
    if (word == "Pss:" && file >> kib) return kib;
  }
  return 0;
}

std::unique_ptr<Collector> Load(std::string_view name, const LeafContext& context) {
  for (const CollectorRow& row : ProbeCatalogue()) {
    if (row.name != name) continue;
    auto made = row.make(context);
    if (made) return std::move(*made);
    std::printf("%s\n", made.error().message.c_str());
  }
  return nullptr;
}

// bpftrace with the histogram attached; gone with the object.
class Bpftrace {
 public:
  Bpftrace() {
    int out[2];
    if (pipe2(out, O_CLOEXEC) != 0) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    std::string name = "bpftrace", option = "-e", program = kProgram;
    char* arguments[] = {name.data(), option.data(), program.data(), nullptr};
    if (posix_spawnp(&child_, "bpftrace", &actions, nullptr, arguments, environ) != 0) child_ = -1;
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    std::string text;
    char byte;
    while (child_ > 0 && text.find("ready") == text.npos && read(out[0], &byte, 1) == 1)
      text += byte;
    ready_ = text.find("ready") != text.npos;
    close(out[0]);
  }
  ~Bpftrace() {
    if (child_ <= 0) return;
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  Bpftrace(const Bpftrace&) = delete;
  Bpftrace& operator=(const Bpftrace&) = delete;
  bool ready() const { return ready_; }

 private:
  pid_t child_ = -1;
  bool ready_ = false;
};

// CPU time of a command and all that it starts.
double CommandCpuNs(const std::string& line) {
  std::string shell = "sh", option = "-c", command = line;
  char* arguments[] = {shell.data(), option.data(), command.data(), nullptr};
  pid_t child = -1;
  if (posix_spawnp(&child, "sh", nullptr, nullptr, arguments, environ) != 0) return 0;
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  return Ns(usage.ru_utime) + Ns(usage.ru_stime);
}

int WorkRounds() {
  const char* const text = std::getenv("FAULTLINE_ROUNDS");
  return text == nullptr ? 9 : std::max(1, std::atoi(text));
}

struct Bench {
  SystemClock clock;
  HostView host = HostView::Real("/", &clock);
  v1::AgentConfig all, chosen_cgroup, sampled, chosen_call;
  std::unique_ptr<ContainerIndex> index;

  std::vector<std::unique_ptr<Collector>> LoadAll() const {
    std::vector<std::unique_ptr<Collector>> probes;
    for (const CollectorRow& row : ProbeCatalogue()) {
      if (!row.on_by_default || row.name == "budget") continue;
      if (auto probe = Load(row.name, LeafContext{host, all, index.get()}))
        probes.push_back(std::move(probe));
    }
    return probes;
  }

  void Cost() const {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(1, &one);
    cpu_set_t before;
    sched_getaffinity(0, sizeof before, &before);
    sched_setaffinity(0, sizeof one, &one);
    const struct {
      const char* what;
      const v1::AgentConfig& config;
      std::vector<double> added;
    } modes[] = {{"+ histogram of all", all, {}},
                 {"+ not among the selected cgroups", chosen_cgroup, {}},
                 {"+ counted, one in 64 timed", sampled, {}},
                 {"+ not among the chosen calls", chosen_call, {}}};
    std::vector<double> none, added[4], peer;
    for (int round = 0; round < kRounds; ++round) {
      const double base = NsPerCall();
      none.push_back(base);
      for (size_t mode = 0; mode < 4; ++mode) {
        const auto probe = Load("syscalls", LeafContext{host, modes[mode].config, index.get()});
        if (!probe) return;
        added[mode].push_back(NsPerCall() - base);
      }
      const Bpftrace bpftrace;
      if (bpftrace.ready()) peer.push_back(NsPerCall() - base);
    }
    sched_setaffinity(0, sizeof before, &before);
    Print("getppid alone", none);
    for (size_t mode = 0; mode < 4; ++mode) Print(modes[mode].what, added[mode]);
    if (peer.empty()) {
      std::printf("bpftrace cannot be run here\n");
      return;
    }
    Print("+ bpftrace, hist by cgroup and id", peer);
    std::printf("ours / bpftrace                    %7.2f\n", Median(added[0]) / Median(peer));
  }

  void Work() const {
    std::ofstream("/tmp/faultline-bench.cc")
        << "#include <regex>\n#include <iostream>\nint main() { "
           "std::cout << std::regex_match(\"a\", "
           "std::regex(\"a|b\")); }\n";
    const std::pair<const char*, const char*> commands[] = {
        {"g++ -O1 -c", "g++ -O1 -c /tmp/faultline-bench.cc -o /tmp/faultline-bench.o"},
        {"tar | gzip", "tar -C /usr -cf - include 2>/dev/null | gzip -1 >/dev/null"}};
    for (const auto& [what, command] : commands) {
      CommandCpuNs(command);
      std::vector<double> syscalls_only, with_all;
      for (int round = 0; round < WorkRounds(); ++round) {
        const double base = CommandCpuNs(command);
        {
          const auto probe = Load("syscalls", LeafContext{host, all, index.get()});
          syscalls_only.push_back(CommandCpuNs(command) / base);
        }
        const auto probes = LoadAll();
        with_all.push_back(CommandCpuNs(command) / base);
      }
      std::printf(
          "%-12s CPU time with the syscalls probe %.3f [%.3f..%.3f], with all probes %.3f "
          "[%.3f..%.3f] of untraced, n=%d\n",
          what, Median(syscalls_only),
          *std::min_element(syscalls_only.begin(), syscalls_only.end()),
          *std::max_element(syscalls_only.begin(), syscalls_only.end()), Median(with_all),
          *std::min_element(with_all.begin(), with_all.end()),
          *std::max_element(with_all.begin(), with_all.end()), WorkRounds());
      std::fflush(stdout);
    }
  }

  void Passes() const {
    const long pss_before = PssKib();
    const auto probes = LoadAll();
    RecordingEmitter out;
    for (const auto& probe : probes) (void)probe->Collect(out);
    std::printf("%zu probes: PSS + %ld KiB (of %ld)\n", probes.size(), PssKib() - pss_before,
                PssKib());
    for (size_t i = 0; i < probes.size(); ++i) {
      const double before = CpuNs();
      constexpr int kPasses = 20;
      for (int pass = 0; pass < kPasses; ++pass) {
        out.Clear();
        (void)probes[i]->Collect(out);
      }
      std::printf("pass of probe %zu: %.2f ms CPU, %zu samples (with the recording emitter)\n", i,
                  (CpuNs() - before) / kPasses / 1e6, out.samples.size());
    }
  }
};

int Main(const std::vector<std::string>& wanted) {
  Bench bench;
  bench.chosen_cgroup.mutable_probes()->mutable_syscalls()->add_cgroups("/nobody");
  bench.sampled.mutable_probes()->mutable_syscalls()->set_timed_one_in(64);
  bench.chosen_call.mutable_probes()->mutable_syscalls()->add_calls("fsync");
  auto index = ContainerIndex::Create(bench.host, bench.all);
  if (!index || !(*index)->Refresh()) return 0;
  bench.index = std::move(*index);
  const auto wants = [&](const char* part) {
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), part) != wanted.end();
  };
  if (wants("cost")) bench.Cost();
  if (wants("work")) bench.Work();
  if (wants("passes")) bench.Passes();
  return 0;
}

}  // namespace
}  // namespace faultline

int main(int count, char** arguments) {
  return faultline::Main({arguments + 1, arguments + count});
}
