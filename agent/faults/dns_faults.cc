// Names that do not resolve, resolve at random, or to what was asked: questions that leave the
// target for any server's port 53 (UDP and TCP) are answered on the way, in the server's name.
// Other questions go on. Verify asks the target's own resolver from the target's network. Limits:
// DNS over TLS and HTTPS is not seen, over TCP the server must take the connection; what a name
// server of the node itself caches is asked at that server.
#include "agent/faults/network_asked.h"
#include "agent/faults/network_fault.h"
#include "agent/faults/network_probe.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr ParameterRow kErrorRows[] = {
    {"patterns", ParameterKind::kList, {}, "names (? and * as in globs); all unless given"},
    {"rcode", ParameterKind::kChoice, "SERVFAIL", "what is answered", false, 0, 0,
     "SERVFAIL NXDOMAIN REFUSED"},
    {"device", ParameterKind::kList, {}, "devices; all of the target that are up unless given"},
};
constexpr ParameterRow kRandomRows[] = {
    {"patterns", ParameterKind::kList, {}, "names (? and * as in globs); all unless given"},
    {"device", ParameterKind::kList, {}, "devices; all of the target that are up unless given"},
};
constexpr ParameterRow kAnswerRows[] = {
    {"patterns", ParameterKind::kList, {}, "names (? and * as in globs); all unless given"},
    {"addresses", ParameterKind::kList, {}, "what is answered", true},
    {"device", ParameterKind::kList, {}, "devices; all of the target that are up unless given"},
};
constexpr int64_t kTimeoutMs = 400;

// A name that the patterns mean: its wildcards are filled in.
std::string MeantName(const DnsRules& rules) {
  if (rules.patterns.empty()) return "faultline-probe.example.com";
  std::string name = rules.patterns.front();
  std::replace(name.begin(), name.end(), '?', 'x');
  for (size_t star = 0; (star = name.find('*')) != std::string::npos;) name.replace(star, 1, "com");
  return name;
}

// The first name server that the target knows.
std::optional<RemoteAddress> ServerOf(const FaultPlan& plan, const FaultHost& host) {
  const auto text =
      host.host->fs.Read(fmt::format("/proc/{}/root/etc/resolv.conf", plan.State("pid")));
  if (!text) return std::nullopt;
  std::string_view rest = *text;
  std::string_view line;
  while (NextLine(rest, line)) {
    if (NextWord(line) != "nameserver") continue;
    if (const auto server = ParseRemote(Trim(line))) return *server;
  }
  return std::nullopt;
}

class DnsFault final : public NetworkFault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    for (const std::string& address : spec.List("addresses")) {
      const auto parsed = ParseRemote(address);
      if (!parsed || parsed->prefix_bits != 128 || parsed->port != 0)
        return Fail(ErrorCode::kInvalidArgument, "parameters.addresses: '{}' is no address",
                    address);
    }
    FAULTLINE_ASSIGN(FaultPlan plan, NetworkFault::Plan(spec, host));
    FAULTLINE_ASSIGN(const NetNamespace network, TargetNamespace(spec.target, host));
    plan.state["pid"] = std::to_string(network.pid);
    return plan;
  }

  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    const DnsRules rules = DnsRulesOf(plan.spec);
    const bool wants_v6 = !rules.addresses.empty() && rules.addresses.front().address[10] != 0xff;
    v1::Effect effect;
    const auto server = ServerOf(plan, host);
    if (!server) {
      effect.set_verdict(v1::VERDICT_INCONCLUSIVE);
      effect.set_reason("the target knows no name server that could be asked");
      AddMeasurement(effect, plan, "questions", 0, 1);
      return effect;
    }
    std::optional<DnsReply> first, second;
    FAULTLINE_TRY(
        InNamespace(ParseUint(plan.State("netns")).value_or(0), host, [&]() -> Result<void> {
          const std::string name = MeantName(rules);
          const unsigned type = wants_v6 ? 28 : 1;
          first = AskResolver(*server, name, type, kTimeoutMs);
          second = AskResolver(*server, name, type, kTimeoutMs);
          return {};
        }));
    const std::string shown = FormatRemote(*server);
    AddMeasurement(effect, plan, "answered", first ? 1 : 0, 1);
    AddMeasurement(effect, plan, "rcode", first ? first->rcode : -1, rules.rcode);
    bool as_asked = first.has_value() && second.has_value();
    std::string seen = "nothing";
    if (first) {
      seen = fmt::format("rcode {}", first->rcode);
      for (const RemoteAddress& address : first->addresses) seen += " " + FormatRemote(address);
    }
    if (as_asked && rules.random) {
      as_asked = first->addresses.size() == 1 && second->addresses.size() == 1 &&
                 first->addresses != second->addresses;
    } else if (as_asked && !rules.addresses.empty()) {
      as_asked = !first->addresses.empty() &&
                 std::all_of(first->addresses.begin(), first->addresses.end(),
                             [&](const RemoteAddress& address) {
                               return std::find(rules.addresses.begin(), rules.addresses.end(),
                                                address) != rules.addresses.end();
                             });
    } else if (as_asked) {
      as_asked = first->rcode == rules.rcode;
    }
    effect.set_verdict(as_asked ? v1::VERDICT_TRUE : v1::VERDICT_FALSE);
    effect.set_reason(fmt::format("{} answers {} for {}", shown, seen, MeantName(rules)));
    return effect;
  }
};

std::unique_ptr<Fault> Make() { return std::make_unique<DnsFault>(); }

}  // namespace

extern const FaultRow kDnsError = {"dns_error", "Names do not resolve.", kErrorRows, Make,
                                   "patterns=*.example.com device={device}"};
extern const FaultRow kDnsRandom = {"dns_random", "Names resolve to addresses at random.",
                                    kRandomRows, Make, "patterns=*.example.com device={device}"};
extern const FaultRow kDnsAnswer = {"dns_answer", "Names resolve to the given addresses.",
                                    kAnswerRows, Make,
                                    "patterns=*.example.com addresses=192.0.2.7 device={device}"};

}  // namespace faultline
