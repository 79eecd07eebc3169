// Time to connect to each of `peers` (host:port, comma separated): the latency mesh.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"
#include "agent/checks/builtin/socket_talk.h"

namespace faultline {
namespace {

class NodeLatency final : public Check {
 public:
  explicit NodeLatency(CheckParameters& parameters)
      : peers_(parameters.Text("peers", "")),
        warn_(parameters.Number("warn", 10)),
        crit_(parameters.Number("crit", 100)) {}
  Finding Evaluate(const HostView& host) override {
    (void)host;
    Judged judged;
    for (const std::string_view peer : Split(peers_, ',')) {
      const size_t colon = Trim(peer).rfind(':');
      if (colon == std::string_view::npos) continue;
      const std::string name(Trim(peer).substr(0, colon));
      const auto port = ParseUint(Trim(peer).substr(colon + 1));
      if (!port || *port == 0 || *port > 65535)
        return Finding::Unknown(fmt::format("{} is not host:port", peer));
      judged.Saw();
      const auto took = ConnectTcp(name, static_cast<uint16_t>(*port), 2000);
      if (!took) {
        judged.Problem(name, fmt::format("{}: {}", Trim(peer), took.error().message));
        continue;
      }
      const double ms = static_cast<double>(*took) / 1e6;
      judged.High(ms, warn_, crit_, name, fmt::format("{} took {:.1f} ms", Trim(peer), ms));
      judged.finding().Add(Trim(peer), ms, "ms");
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no `peers` are set");
    return judged.Finish(fmt::format("{} peers answer", judged.seen()),
                         fmt::format("below {} ms", warn_));
  }

 private:
  const std::string peers_;
  const double warn_;
  const double crit_;
};

}  // namespace

std::unique_ptr<Check> MakeNodeLatency(CheckParameters& parameters) {
  return std::make_unique<NodeLatency>(parameters);
}

}  // namespace faultline
