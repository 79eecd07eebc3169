// What users already have, from the file to the node's own check of the parameters: each published
// manifest, body and command line of Chaos Mesh and chaosd becomes objects, and every fault that
// these ask for is in the agent's catalogue and takes the parameters as they came. A counted table
// is printed.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "agent/faults/fault.h"
#include "aggregator/experiments/experiment_spec.h"
#include "aggregator/objects/foreign/chaosd.h"
#include "aggregator/objects/object_text.h"
#include "common/text.h"
#include "tests/support/paths.h"

namespace faultline {
namespace {

namespace json = boost::json;

// Every spec of an experiment in there, however deep.
void FindExperiments(const json::value& value, std::vector<json::object>& specs) {
  if (value.is_array()) {
    for (const json::value& item : value.get_array()) FindExperiments(item, specs);
  }
  if (!value.is_object()) return;
  const json::object& object = value.get_object();
  if (object.contains("fault") && object.contains("parameters")) specs.push_back(object);
  for (const auto& [name, item] : object) FindExperiments(item, specs);
}

// Empty: the node takes it.
std::string Trouble(const json::object& spec) {
  const auto read = ReadExperimentSpec({{"spec", spec}});
  if (!read) return read.error().message;
  const FaultRow* row = FindFault(FaultCatalogue(), read->fault);
  if (row == nullptr) return "no fault is called " + read->fault;
  const auto checked = AcceptParameters(
      row->parameters, {read->parameters.begin(), read->parameters.end()}, row->name);
  return checked ? "" : read->fault + ": " + checked.error().message;
}

struct Count {
  int files = 0, translated = 0, refused = 0, faults = 0, honoured = 0;
};

TEST(Corpus, WhatUsersHaveIsTakenByTheNode) {
  const char* folder = std::getenv("FAULTLINE_CORPUS");
  const std::filesystem::path root =
      folder != nullptr ? folder : SourceDir() + "/../shared/data/corpus";
  if (!std::filesystem::exists(root)) GTEST_SKIP() << root << " is absent (set FAULTLINE_CORPUS)";
  std::map<std::string, Count> table;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const auto path = entry.path().lexically_relative(root);
    const std::string dialect = path.begin()->string();
    if (!entry.is_regular_file() || (dialect != "chaos-mesh" && !dialect.starts_with("chaosd")))
      continue;
    std::ostringstream file;
    file << std::ifstream(entry.path()).rdbuf();
    const std::string kind = std::next(path.begin())->string();
    Count& count = table[dialect + " " + kind];
    ++count.files;
    Result<std::vector<json::object>> objects = std::vector<json::object>();
    if (dialect == "chaos-mesh") {
      objects = ParseObjects(file.str());
    } else if (dialect == "chaosd") {
      objects = TranslateAttack(kind, json::parse(file.str()).as_object(), "attack", "");
    } else {
      std::vector<std::string> words;
      const std::string text = file.str();
      std::string_view rest = Trim(text);
      for (std::string_view word = NextWord(rest); !word.empty(); word = NextWord(rest))
        words.emplace_back(word);
      const auto command = ReadAttackCommand(words);
      if (command) {
        objects = TranslateAttack(command->kind, command->body, "attack", "");
      } else {
        objects = std::unexpected(command.error());
      }
    }
    (objects ? count.translated : count.refused)++;
    if (!objects) {
      std::printf("  refused %s: %s\n", path.c_str(), objects.error().message.c_str());
      continue;
    }
    std::vector<json::object> specs;
    for (json::object& object : *objects) {
      const auto valid = ValidateObject(object);
      EXPECT_TRUE(valid) << path << ": " << valid.error().message;
      FindExperiments(object, specs);
    }
    for (const json::object& spec : specs) {
      ++count.faults;
      const std::string trouble = Trouble(spec);
      count.honoured += trouble.empty();
      if (!trouble.empty()) std::printf("  %s: %s\n", path.c_str(), trouble.c_str());
    }
  }
  std::printf("%-36s %5s %10s %7s %6s %8s\n", "what", "files", "translated", "refused", "faults",
              "honoured");
  Count all;
  for (const auto& [name, count] : table) {
    std::printf("%-36s %5d %10d %7d %6d %8d\n", name.c_str(), count.files, count.translated,
                count.refused, count.faults, count.honoured);
    all.files += count.files, all.translated += count.translated, all.refused += count.refused;
    all.faults += count.faults, all.honoured += count.honoured;
  }
  std::printf("%-36s %5d %10d %7d %6d %8d\n", "all", all.files, all.translated, all.refused,
              all.faults, all.honoured);
  EXPECT_GT(all.translated, 0);
}

}  // namespace
}  // namespace faultline
