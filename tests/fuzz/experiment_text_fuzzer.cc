// What people write into experiments besides YAML: cron expressions, branches, attacks of chaosd as JSON and as
// command lines.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/experiments/branch_expression.h"
#include "aggregator/objects/foreign/chaosd.h"
#include "aggregator/objects/object_text.h"
#include "common/cron.h"
#include "common/text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(bytes), size);
  if (const auto cron = faultline::CronSchedule::Parse(text)) (void)cron->Next(1'800'000'000'000'000'000);
  (void)faultline::EvaluateBranch(text, 1, "text");
  std::vector<std::string> words;
  std::string_view rest = text;
  for (std::string_view word = faultline::NextWord(rest); !word.empty(); word = faultline::NextWord(rest)) words.emplace_back(word);
  const auto command = faultline::ReadAttackCommand(words);
  if (!command) return 0;
  auto objects = faultline::TranslateAttack(command->kind, command->body, "attack", "");
  if (!objects) return 0;
  for (boost::json::object& object : *objects) (void)faultline::ValidateObject(object);
  return 0;
}
