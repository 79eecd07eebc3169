// Runs rules once and prints a JSON line per result: check_once ALLOWED_ROOT[,ROOT…] RULES_GLOB
// [RULE_GLOB] [SECONDS]. Without rules: the built-in checks. With SECONDS: as they are scheduled,
// for so long, and the CPU time that it took.
#include <google/protobuf/util/json_util.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <future>
#include <mutex>

#include "agent/checks/check_engine.h"
#include "agent/checks/program_runner.h"
#include "agent/containers/cgroup_mounts.h"
#include "common/config_defaults.h"
#include "common/host_view.h"
#include "common/log.h"
#include "common/text.h"

namespace {

void Print(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  if (google::protobuf::util::MessageToJsonString(message, &text, options).ok())
    std::printf("%s\n", text.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  (void)faultline::SetUpLog("warn", "text");
  faultline::v1::AgentConfig config;
  config.set_node("localhost");
  for (const auto root : faultline::Split(argv[1], ','))
    config.mutable_checks()->add_allowed_roots(std::string(root));
  if (*argv[2] != '\0') config.mutable_checks()->add_rules(argv[2]);
  if (const auto filled = faultline::FillDefaults(&config); !filled) {
    std::fprintf(stderr, "%s\n", filled.error().message.c_str());
    return 2;
  }
  faultline::CheckEngineOptions options;
  options.config = config.checks();
  options.config.set_concurrency(4);
  options.host_name = "localhost";
  const auto mounts =
      faultline::ReadCgroupMounts(faultline::FsRoot()).value_or(faultline::CgroupMounts());
  options.cgroup_folder = faultline::CheckCgroupFolder(mounts.unified);
  std::mutex mutex;
  uint64_t count = 0;
  const bool timed = argc > 4;
  options.emit = [&](const faultline::v1::CheckResult& result) {
    const std::lock_guard lock(mutex);
    ++count;
    if (timed && result.contract() == "npd" &&
        result.verdict() == faultline::v1::CHECK_VERDICT_PROBLEM)
      Print(result);
  };
  uint64_t dropped = 0;
  options.drop = [&](const char*, uint64_t lost) { dropped += lost; };
  faultline::CheckEngine engine(std::move(options));
  engine.Start();
  if (timed) {
    const auto seconds = static_cast<unsigned>(faultline::ParseUint(argv[4]).value_or(60));
    sleep(seconds);
    rusage own{}, children{};
    getrusage(RUSAGE_SELF, &own);
    const double cpu = static_cast<double>(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
                       static_cast<double>(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
    engine.Stop();
    getrusage(RUSAGE_CHILDREN, &children);
    const double runner =
        static_cast<double>(children.ru_utime.tv_sec + children.ru_stime.tv_sec) +
        static_cast<double>(children.ru_utime.tv_usec + children.ru_stime.tv_usec) / 1e6;
    std::printf(
        "%u s: %llu results, %.3f s of CPU (%.3f %% of a core), programs %.3f s, lines lost and "
        "counted %llu\n",
        seconds, static_cast<unsigned long long>(count), cpu, 100 * cpu / seconds, runner,
        static_cast<unsigned long long>(dropped));
    return 0;
  }
  faultline::v1::Command command;
  command.set_id("once");
  const std::string selector = argc > 3 ? argv[3] : *argv[2] == '\0' ? "builtin/*" : "*";
  command.mutable_run_checks()->mutable_selector()->add_rules(selector);
  std::promise<faultline::v1::CommandReply> promise;
  engine.Execute(command,
                 [&](faultline::v1::CommandReply reply) { promise.set_value(std::move(reply)); });
  const faultline::v1::CommandReply reply = promise.get_future().get();
  if (!reply.error_message().empty()) std::fprintf(stderr, "%s\n", reply.error_message().c_str());
  for (const auto& result : reply.checks()) Print(result);
  engine.Stop();
  std::fflush(stdout);
  _exit(0);
}
