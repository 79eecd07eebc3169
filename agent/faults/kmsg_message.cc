// kmsg_message: lines in the kernel's log, to try out what detects them. They are written as by
// anybody who writes to /dev/kmsg, which the kernel marks as not its own (facility user). Cannot be
// taken back.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "agent/faults/fault.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr const char* kKmsg = "/dev/kmsg";
constexpr size_t kMaxRecords = 200'000;
constexpr std::string_view kLevels[] = {"emerg",   "alert",  "crit", "err",
                                        "warning", "notice", "info", "debug"};

std::string LineOf(const FaultSpec& spec) { return spec.Text("message"); }

// Records of the ring that have the line, after the one numbered `after`.
Result<std::pair<int64_t, uint64_t>> Count(const std::string& path, std::string_view line,
                                           uint64_t after) {
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return FailErrno(errno, "open {}", path);
  int64_t found = 0;
  uint64_t last = 0;
  char record[8192];
  for (size_t i = 0; i < kMaxRecords; ++i) {
    const ssize_t n = read(fd, record, sizeof record);
    if (n < 0 && errno == EPIPE) continue;  // overtaken: the next one is the oldest there is
    if (n <= 0) break;
    const std::string_view text(record, static_cast<size_t>(n));
    const auto words = Split(text.substr(0, text.find(';')), ',');
    const auto number = words.size() > 1 ? ParseUint(words[1]) : std::nullopt;
    if (!number) continue;
    last = *number;
    if (*number > after && text.find(line) != std::string_view::npos) ++found;
  }
  close(fd);
  return std::pair{found, last};
}

class KmsgMessage final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FaultPlan plan;
    plan.spec = spec;
    plan.state["target"] = "node";
    const std::string line = LineOf(spec);
    if (line.empty() || line.size() > 800 || line.find('\n') != std::string::npos)
      return Fail(ErrorCode::kInvalidArgument,
                  "parameters.message: expected one line of 1 to 800 bytes");
    FAULTLINE_ASSIGN(const auto seen, Count(host.host->fs.Path(kKmsg), line, 0));
    plan.state["after"] = std::to_string(seen.second);
    plan.victims.push_back(
        fmt::format("the kernel's log: {} line(s) '{}'", spec.Integer("count"), line));
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    size_t level = 0;
    while (level < std::size(kLevels) && kLevels[level] != plan.spec.Text("level")) ++level;
    const std::string line = fmt::format("<{}>{}\n", level, LineOf(plan.spec));
    // Each through a descriptor of its own: the kernel drops what is more than ten lines of one.
    for (int64_t i = 0; i < plan.spec.Integer("count"); ++i) {
      const int fd = open(host.host->fs.Path(kKmsg).c_str(), O_WRONLY | O_CLOEXEC);
      if (fd < 0) return FailErrno(errno, "open {}", kKmsg);
      const bool written = write(fd, line.data(), line.size()) >= 0;
      const int error = errno;
      close(fd);
      if (!written) return FailErrno(error, "write {}", kKmsg);
    }
    return {};
  }

  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    FAULTLINE_ASSIGN(const auto seen, Count(host.host->fs.Path(kKmsg), LineOf(plan.spec),
                                            ParseUint(plan.State("after")).value_or(0)));
    const auto asked = static_cast<double>(plan.spec.Integer("count"));
    v1::Effect effect;
    AddMeasurement(effect, plan, "kernel_log_lines", static_cast<double>(seen.first), asked);
    effect.set_verdict(static_cast<double>(seen.first) >= asked ? v1::VERDICT_TRUE
                                                                : v1::VERDICT_FALSE);
    effect.set_reason(fmt::format("{} line(s) are in the kernel's log", seen.first));
    return effect;
  }

  Result<void> Recover(const FaultPlan&, const FaultHost&) override { return {}; }
  std::vector<std::string> Residue(const FaultPlan&, const FaultHost&) override { return {}; }
};

constexpr ParameterRow kParameters[] = {
    {.name = "message", .doc = "the line", .required = true},
    {.name = "level",
     .kind = ParameterKind::kChoice,
     .fallback = "warning",
     .doc = "its level",
     .choices = "emerg alert crit err warning notice info debug"},
    {.name = "count",
     .kind = ParameterKind::kInteger,
     .fallback = "1",
     .doc = "how many times",
     .min = 1,
     .max = 1000},
};

}  // namespace

extern const FaultRow kKmsgMessage = {
    .name = "kmsg_message",
    .doc = "Writes lines into the kernel's log, to try out what detects them.",
    .parameters = kParameters,
    .make = [] { return std::unique_ptr<Fault>(new KmsgMessage); },
    .example = "message=faultline-conformance-{unique} level=debug",
    .one_shot = true,
    .reapply = false,
};

}  // namespace faultline
