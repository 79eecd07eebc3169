// Cluster checks in the report: their last runs, what is different since the run before, and who
// differs from the fleet.
#include <fmt/format.h>

#include "aggregator/reports/sections.h"

namespace faultline {
namespace {

namespace json = boost::json;

constexpr size_t kMaxRows = 40;

const json::value& At(const json::value& value, std::string_view name) {
  static const json::value kNull;
  const json::value* found = value.is_object() ? value.get_object().if_contains(name) : nullptr;
  return found != nullptr ? *found : kNull;
}

std::string Text(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  return value.is_null() ? std::string() : json::serialize(value);
}

size_t SizeOf(const json::value& value) { return value.is_array() ? value.get_array().size() : 0; }

std::string Minute(const json::value& time) {
  const std::string text = Text(time);
  return text.size() < 16 ? text : text.substr(0, 16).replace(10, 1, " ");
}

}  // namespace

ReportSection ClusterCheckSection(const ReportSources& sources) {
  ReportSection section;
  section.title = "Cluster checks";
  section.table.header = {"state",    "check", "nodes answered", "problems", "since the run before",
                          "last run", "next"};
  const auto list = sources.objects != nullptr ? sources.objects->List("ClusterCheck", "", "")
                                               : Result<std::vector<Object>>();
  for (const Object& object : list ? *list : std::vector<Object>()) {
    if (section.table.rows.size() >= kMaxRows) break;
    const json::value status = At(object.body, "status");
    const std::string phase = Text(At(status, "phase"));
    ReportCell state(phase.empty() ? "waiting" : phase);
    const size_t problems = SizeOf(At(status, "problems")),
                 outliers = SizeOf(At(status, "outliers"));
    state.mood = phase == "Failed"              ? Mood::kBad
                 : phase != "Completed"         ? Mood::kUnknown
                 : problems > 0 || outliers > 0 ? Mood::kWarning
                                                : Mood::kGood;
    ReportCell name(object.name);
    name.note = Text(At(status, "error"));
    name.link = "/apis/faultline.io/v1/namespaces/" + UrlText(object.name_space) +
                "/clusterchecks/" + UrlText(object.name);
    const json::value& difference = At(status, "difference");
    section.table.rows.push_back(
        {state, name,
         fmt::format("{} of {}, {} failed", Text(At(status, "succeeded")),
                     Text(At(status, "desired")), Text(At(status, "failed"))),
         std::to_string(problems),
         difference.is_null()
             ? std::string("–")
             : fmt::format("{} appeared, {} cleared", SizeOf(At(difference, "appeared")),
                           SizeOf(At(difference, "cleared"))),
         Minute(At(status, "startTime")), Minute(At(status, "nextScheduleTime"))});
    section.mood = state.mood == Mood::kBad || section.mood == Mood::kBad           ? Mood::kBad
                   : state.mood == Mood::kWarning || section.mood == Mood::kWarning ? Mood::kWarning
                                                                                    : state.mood;
  }
  section.summary =
      section.table.rows.empty()
          ? "None is declared: `faultline apply` a ClusterCheck, or `faultline check run`."
          : "";
  return section;
}

ReportSection OutlierSection(const ReportSources& sources) {
  ReportSection section;
  section.title = "Different from the fleet";
  section.table.header = {"node", "what", "value", "usual", "compared", "found by"};
  const auto list = sources.objects != nullptr ? sources.objects->List("ClusterCheck", "", "")
                                               : Result<std::vector<Object>>();
  for (const Object& object : list ? *list : std::vector<Object>()) {
    const json::value& outliers = At(At(object.body, "status"), "outliers");
    for (const json::value& outlier : outliers.is_array() ? outliers.get_array() : json::array()) {
      if (section.table.rows.size() >= kMaxRows) break;
      ReportCell node(Text(At(outlier, "node")));
      node.link = "/api/v1/reports/node/" + UrlText(node.text) + "?format=html";
      section.table.rows.push_back({node, Text(At(outlier, "subject")), Text(At(outlier, "value")),
                                    Text(At(outlier, "usual")),
                                    Text(At(outlier, "nodes")) + " nodes", object.name});
    }
  }
  section.mood = section.table.rows.empty() ? Mood::kGood : Mood::kWarning;
  section.summary = section.table.rows.empty()
                        ? "No node stands out in the last runs."
                        : "Words are compared with the majority, numbers with the median.";
  return section;
}

}  // namespace faultline
