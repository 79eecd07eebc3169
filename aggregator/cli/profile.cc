// profile: where the CPUs of a node spend their time, as folded stacks; made now, or read from what
// is stored.
#include <algorithm>
#include <map>

#include "aggregator/cli/commands.h"
#include "aggregator/cli/json_path.h"
#include "aggregator/cli/time_option.h"
#include "common/clock.h"
#include "common/text.h"

namespace faultline::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string node, name_space, pod, container, begin, end = "now";
  int seconds = 10;
};

// The only one that there is, when nobody is named.
Result<std::string> NodeOf(const Session& session, const Options& options) {
  if (!options.node.empty()) return options.node;
  FAULTLINE_ASSIGN(const json::value nodes, session.Client().Data("/api/v1/nodes"));
  if (!nodes.is_array() || nodes.get_array().size() != 1)
    return Fail(ErrorCode::kInvalidArgument, "which node? There is not exactly one");
  return TextAt(nodes.get_array().front(), "node");
}

Result<void> ProfileNow(const Session& session, const Options& options) {
  FAULTLINE_ASSIGN(const std::string node, NodeOf(session, options));
  const Parameters parameters = {{"seconds", std::to_string(options.seconds)},
                                 {"namespace", options.name_space},
                                 {"pod", options.pod},
                                 {"container", options.container},
                                 {"format", session.structured() ? "json" : "folded"}};
  const std::string path = "/api/v1/nodes/" + UrlEncode(node) + "/profile";
  if (session.terminal) std::fprintf(stderr, "%d s …\n", options.seconds);
  FAULTLINE_ASSIGN(const std::string body, session.Client().Call("POST", path, parameters));
  if (!session.structured()) return std::fputs(body.c_str(), stdout), Result<void>();
  boost::system::error_code failed;
  const json::value reply = json::parse(body, failed);
  if (failed) return Fail(ErrorCode::kInternal, "the aggregator's answer is not JSON");
  return session.Print(At(reply, "data")), Result<void>();
}

std::string Selector(const Options& options) {
  std::string selector = R"({job="cpu_profile")";
  const std::pair<const char*, const std::string*> labels[] = {{"node", &options.node},
                                                               {"namespace", &options.name_space},
                                                               {"pod", &options.pod},
                                                               {"container", &options.container}};
  for (const auto& [name, value] : labels) {
    if (!value->empty()) selector += fmt::format(",{}={}", name, json::serialize(json::string(*value)));
  }
  return selector + "}";
}

std::string NameOf(const json::value& labels) {
  std::string name;
  for (const char* part : {"namespace", "pod", "container"}) {
    const std::string text = TextAt(labels, part);
    if (!text.empty()) name += (name.empty() ? "" : "/") + text;
  }
  return name.empty() ? "node" : name;
}

// The stored profiles of the time, added up.
Result<void> ProfileThen(const Session& session, const Options& options) {
  FAULTLINE_ASSIGN(const int64_t begin, ParseMoment("--begin", options.begin));
  FAULTLINE_ASSIGN(const int64_t end, ParseMoment("--end", options.end));
  constexpr size_t kMostLines = 5000;  // as many as the aggregator gives at a time
  FAULTLINE_ASSIGN(const json::value reply,
                   session.Client().Json("GET", "/loki/api/v1/query_range",
                                         {{"query", Selector(options)},
                                          {"start", std::to_string(begin)},
                                          {"end", std::to_string(end)},
                                          {"limit", std::to_string(kMostLines)}}));
  std::map<std::string, uint64_t> sums;
  size_t lines = 0;
  for (const json::value& stream : ArrayAt(reply, "data.result")) {
    const std::string name = NameOf(At(stream, "stream"));
    for (const json::value& entry : ArrayAt(stream, "values")) {
      ++lines;
      const std::string line(entry.as_array().at(1).as_string());
      const size_t blank = line.rfind(' ');
      if (blank == line.npos) continue;
      sums[name + ";" + line.substr(0, blank)] += ParseUint(line.substr(blank + 1)).value_or(0);
    }
  }
  if (lines == kMostLines) std::fprintf(stderr, "only the newest %zu stacks\n", kMostLines);
  std::vector<std::pair<std::string, uint64_t>> stacks(sums.begin(), sums.end());
  std::ranges::stable_sort(stacks, std::ranges::greater(), &std::pair<std::string, uint64_t>::second);
  json::array rows;
  for (const auto& [stack, samples] : stacks) {
    if (session.structured()) {
      rows.push_back({{"stack", stack}, {"samples", samples}});
    } else {
      std::printf("%s %llu\n", stack.c_str(), static_cast<unsigned long long>(samples));
    }
  }
  if (session.structured()) session.Print(rows);
  return {};
}

}  // namespace

void SetUpProfile(CLI::App& app, Session& session) {
  const auto options = std::make_shared<Options>();
  app.add_option("node", options->node, "name of the node (default: the only one)");
  app.add_option("--namespace", options->name_space, "only what runs in it");
  app.add_option("--pod", options->pod, "only this pod");
  app.add_option("--container", options->container, "only this container, or plain cgroup");
  app.add_option("--seconds", options->seconds, "how long, 1 to 60 (default 10)");
  app.add_option("--begin", options->begin, "not now: what is stored since then: 15m, or a time");
  app.add_option("--end", options->end, "with --begin: until then (default now)");
  Run(app, [options, &session] {
    return options->begin.empty() ? ProfileNow(session, *options) : ProfileThen(session, *options);
  });
}

}  // namespace faultline::cli
