// The machine's form; everything the report holds.

#include <boost/json.hpp>

#include "aggregator/diagnosis/diagnosis.h"

namespace faultline {
namespace {

namespace json = boost::json;

json::object ToJson(const Labels& labels) {
  json::object object;
  for (const auto& [name, value] : labels) object[name] = value;
  return object;
}

json::object ToJson(const Anomaly& anomaly) {
  return {{"labels", ToJson(anomaly.labels)}, {"signal", anomaly.signal},
          {"expression", anomaly.expression}, {"onset_unix_ms", anomaly.onset_unix_ms},
          {"score", anomaly.score},           {"before", anomaly.before},
          {"during", anomaly.during},         {"direction", anomaly.direction}};
}

json::array ToJson(const std::vector<Anomaly>& anomalies) {
  json::array array;
  for (const Anomaly& anomaly : anomalies) array.push_back(ToJson(anomaly));
  return array;
}

json::object ToJson(const Suspect& suspect) {
  return {{"node", suspect.node},
          {"namespace", suspect.name_space},
          {"pod", suspect.pod},
          {"container", suspect.container},
          {"cgroup", suspect.cgroup},
          {"cause", suspect.cause},
          {"score", suspect.score},
          {"onset_unix_ms", suspect.onset_unix_ms},
          {"explanation", suspect.explanation},
          {"evidence", ToJson(suspect.evidence)}};
}

json::object ToJson(const DiagnosisReport::Grade& grade) {
  return {{"uid", grade.label.uid},
          {"experiment", grade.label.experiment},
          {"fault", grade.label.fault},
          {"node", grade.label.node},
          {"cgroup", grade.label.target.cgroup()},
          {"container", grade.label.target.container()},
          {"begin_unix_ns", grade.label.begin_unix_ns},
          {"end_unix_ns", grade.label.end_unix_ns},
          {"rank", grade.rank},
          {"cause_matches", grade.cause_matches},
          {"onset_error_ms", grade.onset_error_ms}};
}

}  // namespace

std::string RenderJson(const DiagnosisReport& report) {
  json::array suspects, events, caveats, grades;
  for (const Suspect& suspect : report.suspects) suspects.push_back(ToJson(suspect));
  for (const StoredEvent& stored : report.events) {
    events.push_back({{"node", stored.node},
                      {"time_unix_ns", stored.event.time_unix_ns()},
                      {"type", stored.event.type()},
                      {"message", stored.event.message()},
                      {"container", stored.event.subject().container()},
                      {"pod", stored.event.subject().pod()}});
  }
  for (const std::string& caveat : report.caveats) caveats.emplace_back(caveat);
  for (const auto& grade : report.grades) grades.push_back(ToJson(grade));
  const json::object object = {{"conclusion", report.conclusion},
                               {"begin_unix_ms", report.request.begin_unix_ms},
                               {"end_unix_ms", report.request.end_unix_ms},
                               {"baseline_ms", report.request.baseline_ms},
                               {"suspects", suspects},
                               {"anomalies", ToJson(report.anomalies)},
                               {"events", events},
                               {"caveats", caveats},
                               {"grades", grades},
                               {"series_examined", report.series_examined},
                               {"elapsed_ns", report.elapsed_ns}};
  return json::serialize(object);
}

}  // namespace faultline
