// Evaluates a rule file over given series at given steps, without a clock: rules_run RULES.yml < INPUT.json
// Input {"interval_ms", "until_ms", "series": [{"labels": {}, "samples": [[ms, "value"]]}], "queries": ["…"]}. Prints a
// JSON list, an entry per step: {"time_ms", "alerts": [{name, state, labels, annotations, value}], "queries": [[…]]}.
#include <boost/json.hpp>
#include <fstream>
#include <iostream>
#include <iterator>

#include "aggregator/alerts/rule_group.h"
#include "common/text.h"
#include "tests/support/memory_store.h"

namespace {

namespace json = boost::json;
using namespace faultline;

json::object ObjectOf(const Labels& labels) {
  json::object object;
  for (const auto& [name, value] : labels) object[name] = value;
  return object;
}

void LoadSeries(const json::array& list, MemoryStore& store) {
  for (const json::value& each : list) {
    Labels labels;
    for (const auto& label : each.at("labels").as_object())
      labels.emplace_back(std::string(label.key()), std::string(label.value().as_string()));
    std::vector<Sample> samples;
    for (const json::value& sample : each.at("samples").as_array()) {
      const std::string text(sample.at(1).as_string());
      samples.push_back({sample.at(0).as_int64(), text == "stale" ? StaleMarker() : ParseDouble(text).value()});
    }
    store.Add(labels, samples);
  }
}

json::value Answers(const json::array& queries, MemoryStore& store, int64_t now_ms) {
  json::array answers;
  for (const json::value& text : queries) {
    json::array answer;
    const auto result = QueryAt(store, std::string_view(text.as_string()), now_ms);
    if (!result) {
      answer.push_back(json::value(result.error().message));
    } else {
      for (const auto& series : result->series)
        answer.push_back({{"labels", ObjectOf(series.labels)}, {"value", FormatDouble(series.samples.front().value)}});
    }
    answers.push_back(std::move(answer));
  }
  return answers;
}

int Run(const char* rules_file) {
  std::ifstream file(rules_file);
  const std::string rules((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::string text((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
  const json::value input = json::parse(text);
  auto specs = alerts::ParseRuleFile(rules, rules_file);
  if (!specs) {
    std::cerr << specs.error().message << "\n";
    return 1;
  }
  MemoryStore store;
  LoadSeries(input.at("series").as_array(), store);
  alerts::RuleWorld world;
  world.store = &store;
  world.make_source = [&] { return promql::MakeSeriesSource(&store, {}); };
  world.default_interval_ms = input.at("interval_ms").as_int64();
  std::vector<std::unique_ptr<alerts::RuleGroup>> groups;
  for (auto& spec : *specs) groups.push_back(std::make_unique<alerts::RuleGroup>(std::move(spec), &world));
  json::array steps;
  for (int64_t now_ms = 0; now_ms <= input.at("until_ms").as_int64(); now_ms += world.default_interval_ms) {
    json::array active;
    for (auto& group : groups) {
      group->Evaluate(now_ms);
      for (const alerts::RuleView& rule : group->View().rules) {
        for (const alerts::Alert& alert : rule.alerts) {
          active.push_back({{"name", rule.spec.name},
                            {"state", alerts::StateName(alert.state)},
                            {"labels", ObjectOf(alert.labels)},
                            {"annotations", ObjectOf(alert.annotations)},
                            {"value", FormatDouble(alert.value)}});
        }
      }
    }
    steps.push_back({{"time_ms", now_ms}, {"alerts", std::move(active)}, {"queries", Answers(input.at("queries").as_array(), store, now_ms)}});
  }
  std::cout << json::serialize(steps) << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: rules_run RULES.yml < INPUT.json\n";
    return 2;
  }
  return Run(argv[1]);
}
