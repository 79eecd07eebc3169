// HTTP requests and responses of the target's server on one port: cut, late, or changed. New
// connections to the port go through a proxy of ours (http_proxy.cc); what is open already stays as
// it is. HTTP/1 in the clear; TLS and HTTP/2 pass through unchanged, and Verify says that nothing
// met the filter.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "agent/faults/fault_service.h"
#include "agent/faults/http_rules.h"
#include "agent/faults/network_target.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr auto kListen = std::chrono::milliseconds(800);

struct Answer {
  bool connected = false;
  bool answered = false;
  int code = 0;
  double ms = 0;
};

// One GET from inside the target's network.
Answer Ask(const HttpRules& rules, int timeout_ms) {
  Answer answer;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(rules.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{timeout_ms / 1000, timeout_ms % 1000 * 1000};
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);  // of connect, too
  const auto begin = std::chrono::steady_clock::now();
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    answer.connected = true;
    const std::string request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    (void)send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    char buffer[1024];
    pollfd event{fd, POLLIN, 0};
    const ssize_t n = poll(&event, 1, timeout_ms) > 0 ? recv(fd, buffer, sizeof buffer, 0) : 0;
    const std::string_view text(buffer, n > 0 ? static_cast<size_t>(n) : 0);
    answer.answered = text.starts_with("HTTP/1.") && text.size() >= 12;
    if (answer.answered) answer.code = static_cast<int>(ParseInt(text.substr(9, 3)).value_or(0));
  }
  answer.ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  close(fd);
  return answer;
}

class HttpFault final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FAULTLINE_ASSIGN(const HttpRules rules, ReadHttpRules(spec));
    FAULTLINE_ASSIGN(const NetNamespace network, TargetNamespace(spec.target, host));
    if (std::find(host.protected_ports.begin(), host.protected_ports.end(), rules.port) !=
            host.protected_ports.end() &&
        network.is_node)
      return Fail(ErrorCode::kPermissionDenied, "parameters.port: {} is protected", rules.port);
    if (network.is_node && !network.pids.empty())
      return Fail(ErrorCode::kUnsupported,
                  "unsupported: the target shares the node's network; name the node to meet "
                  "everybody's port {}",
                  rules.port);
    FaultPlan plan;
    plan.spec = spec;
    plan.state["netns"] = std::to_string(network.inode);
    plan.state["mechanism"] = "sk_lookup, proxy";
    // Behind the proxies of earlier faults on the port.
    uint64_t stage = 1;
    for (const FaultPlan& other : host.others) {
      if (other.spec.fault.starts_with("http_") && other.State("netns") == plan.State("netns"))
        stage = std::max(stage, ParseUint(other.State("stage")).value_or(0) + 1);
    }
    plan.state["stage"] = std::to_string(stage);
    const std::string whom = !spec.target.cgroup().empty() ? "cgroup " + spec.target.cgroup()
                             : network.pids.empty()        ? "the node"
                                                           : fmt::format("pid {}", network.pid);
    plan.victims.push_back(fmt::format("{}: TCP port {} (network namespace {}): {}", whom,
                                       rules.port, network.inode, DescribeHttp(rules)));
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    return StartFaultService(plan, host);
  }

  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    FAULTLINE_ASSIGN(const HttpRules rules, ReadHttpRules(plan.spec));
    v1::Effect effect;
    const auto counts = ReadServiceCounts(*host.host, plan.spec.uid);
    if (counts && rules.IsNarrow()) {  // our own request need not be one of those meant
      std::this_thread::sleep_for(kListen);
      const auto later = ReadServiceCounts(*host.host, plan.spec.uid);
      const double met = later ? static_cast<double>(later->met) : 0;
      AddMeasurement(effect, plan, "met", met, 1);
      const bool done = later && later->done > 0;
      effect.set_verdict(done ? v1::VERDICT_TRUE
                              : (met > 0 ? v1::VERDICT_INCONCLUSIVE : v1::VERDICT_FALSE));
      effect.set_reason(
          fmt::format("{:.0f} of {} messages met the filter so far", met, later ? later->seen : 0));
      return effect;
    }
    Answer answer;
    const int timeout_ms = static_cast<int>(1000 + rules.delay_ns / 1'000'000 * 3 / 2);
    FAULTLINE_TRY(
        InNamespace(ParseUint(plan.State("netns")).value_or(0), host, [&]() -> Result<void> {
          answer = Ask(rules, timeout_ms);
          return {};
        }));
    Judge(effect, plan, rules, answer, counts.has_value());
    return effect;
  }

  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override {
    return EndFaultServices(*host.host, plan.spec.uid);
  }

  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) override {
    std::vector<std::string> residue;
    for (const LiveProcess& service : FindFaultServices(*host.host, plan.spec.uid))
      residue.push_back(fmt::format("service pid {}", service.pid));
    return residue;
  }

 private:
  static void Judge(v1::Effect& effect, const FaultPlan& plan, const HttpRules& rules,
                    const Answer& answer, bool in_force) {
    const double delay_ms = static_cast<double>(rules.delay_ns) / 1e6;
    const auto before = plan.before.find("answer_ms");
    const double before_ms = before == plan.before.end() ? 0 : before->second;
    AddMeasurement(effect, plan, "answer_ms", answer.ms, before_ms + delay_ms);
    AddMeasurement(effect, plan, "answered", answer.answered ? 1 : 0, rules.abort ? 0 : 1);
    AddMeasurement(effect, plan, "code", answer.code, rules.new_code);
    const auto was_answered = plan.before.find("answered");
    v1::Verdict verdict = v1::VERDICT_TRUE;
    if (!in_force) {
      verdict = v1::VERDICT_FALSE;
    } else if (was_answered == plan.before.end() || was_answered->second == 0) {
      verdict = v1::VERDICT_INCONCLUSIVE;
    } else if (rules.abort) {
      verdict = answer.answered ? v1::VERDICT_FALSE : v1::VERDICT_TRUE;
    } else if (delay_ms > 0 && (answer.ms - before_ms < 0.9 * delay_ms || !answer.answered)) {
      verdict = v1::VERDICT_FALSE;
    } else if (rules.new_code != 0 && answer.code != rules.new_code) {
      verdict = v1::VERDICT_FALSE;
    }
    effect.set_verdict(verdict);
    effect.set_reason(
        answer.answered
            ? fmt::format("a request was answered with {} after {:.1f} ms", answer.code, answer.ms)
            : fmt::format("a request got no answer{}",
                          verdict == v1::VERDICT_INCONCLUSIVE
                              ? ", nor did it before: is that the port?"
                              : ""));
  }
};

std::unique_ptr<Fault> Make() { return std::make_unique<HttpFault>(); }

constexpr ParameterRow kRows[] = {
    {.name = "target",
     .kind = ParameterKind::kChoice,
     .fallback = "Request",
     .doc = "which messages",
     .choices = "Request Response"},
    {.name = "port",
     .kind = ParameterKind::kInteger,
     .doc = "TCP port of the target's server",
     .min = 1,
     .max = 65535},
    {.name = "proxy_ports", .kind = ParameterKind::kList, .doc = "the same by chaosd's name"},
    {.name = "path", .doc = "glob on path and query"},
    {.name = "method", .doc = "only this method"},
    {.name = "code",
     .kind = ParameterKind::kInteger,
     .doc = "only responses with this status",
     .min = 100,
     .max = 999},
    {.name = "request_headers", .doc = "only with these: a JSON object"},
    {.name = "response_headers", .doc = "only with these: a JSON object"},
    {.name = "abort", .kind = ParameterKind::kBool, .doc = "cut the connection"},
    {.name = "delay",
     .kind = ParameterKind::kDuration,
     .doc = "how long messages wait",
     .min = 0,
     .max = 3600e9},
    {.name = "replace.path", .doc = "another path"},
    {.name = "replace.method", .doc = "another method"},
    {.name = "replace.code",
     .kind = ParameterKind::kInteger,
     .doc = "another status",
     .min = 100,
     .max = 999},
    {.name = "replace.body", .doc = "another body"},
    {.name = "replace.queries", .doc = "queries set: a JSON object"},
    {.name = "replace.headers", .doc = "headers set: a JSON object"},
    {.name = "patch.body.type",
     .kind = ParameterKind::kChoice,
     .fallback = "JSON",
     .doc = "how the body is patched",
     .choices = "JSON"},
    {.name = "patch.body.value", .doc = "JSON merge patch of the body"},
    {.name = "patch.queries", .doc = "queries added: a JSON array of pairs"},
    {.name = "patch.headers", .doc = "headers added: a JSON array of pairs"},
};

}  // namespace

extern const FaultRow kHttpAbort = {
    .name = "http_abort",
    .doc = "HTTP connections are cut in the middle of an exchange.",
    .parameters = kRows,
    .make = Make,
    .example = "port={http_port}",
};
extern const FaultRow kHttpDelay = {
    .name = "http_delay",
    .doc = "HTTP messages wait.",
    .parameters = kRows,
    .make = Make,
    .example = "port={http_port} delay=200ms",
};
extern const FaultRow kHttpReplace = {
    .name = "http_replace",
    .doc = "Parts of HTTP messages are other ones.",
    .parameters = kRows,
    .make = Make,
    .example = "port={http_port} target=Response replace.code=503",
};
extern const FaultRow kHttpPatch = {
    .name = "http_patch",
    .doc = "HTTP messages get something added.",
    .parameters = kRows,
    .make = Make,
    .example = "port={http_port} target=Response replace.code=418 patch.headers=[[\"x\",\"y\"]]",
};

}  // namespace faultline
