// Prints the cases of check_cases.h as one JSON list, for tests that cause them under a real agent.
#include "tests/support/check_cases.h"

#include <boost/json.hpp>
#include <cstdio>

#include "agent/checks/builtin/check.h"

int main() {
  namespace json = boost::json;
  const auto files = [](const faultline::CaseFiles& given) {
    json::array list;
    for (const auto& [path, text] : given) list.push_back(json::array{path, text});
    return list;
  };
  json::array cases;
  for (const faultline::CheckCase& one : faultline::CheckCases()) {
    json::object parameters;
    for (const auto& [name, value] : one.parameters) parameters[name] = value;
    cases.push_back(json::object{{"name", one.name},
                                 {"condition", faultline::FindCheck(one.name)->condition},
                                 {"before", files(one.before)},
                                 {"bad", files(one.bad)},
                                 {"good", files(one.good)},
                                 {"parameters", std::move(parameters)}});
  }
  std::printf("%s\n", json::serialize(cases).c_str());
}
