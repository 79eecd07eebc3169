// A contract is one system's way to write rules and to give verdicts. Copy the smallest sibling
// (nagios.cc): it reads a document into rules, judges what a program of such a rule printed and
// returned, and has a row in contract_catalogue.cc. Verdicts are those that the system's own runner
// would give. Whatever a program printed is data: it becomes the text of a result and nothing else.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/checks/contracts/rule_text.h"
#include "agent/checks/rule.h"
#include "common/result.h"
#include "faultline/v1/check_run.pb.h"

namespace faultline {

struct RuleDocument {
  std::string name;      // for errors: the path, or as it was pushed
  std::string path;      // absolute; empty when it was pushed
  std::string contract;  // empty: told by its content
  std::string text;
};

struct ContractContext {
  std::vector<std::string> allowed_roots;
  std::string host_name;
};

struct ContractRow {
  std::string_view name;
  std::string_view doc;
  // Whether a document is of this kind; `root` is null when the text is neither YAML nor JSON.
  bool (*claims)(const RuleDocument& document, const RuleNode* root);
  Result<RuleSet> (*read)(const RuleDocument& document, const RuleNode* root,
                          const ContractContext& context);
  // The program has ended by itself. `result` says whose it is; what the contract tells apart
  // becomes results of their own.
  std::vector<v1::CheckResult> (*judge)(const CheckRule& rule, const v1::ProgramOutcome& outcome,
                                        v1::CheckResult result);
};

std::span<const ContractRow> ContractCatalogue();
const ContractRow* FindContract(std::string_view name);

// Reads a document by its own or the first claiming contract. Errors name document, line and field.
Result<RuleSet> ReadRules(const RuleDocument& document, const ContractContext& context);
// The results of one run: of the contract, or of what kept the program from a verdict.
std::vector<v1::CheckResult> JudgeRun(const CheckRule& rule, const v1::ProgramOutcome& outcome);
// Identity and description of a rule's results.
v1::CheckResult ResultOf(const CheckRule& rule);

// ---- What contracts share
// ---------------------------------------------------------------------------------------- The
// program that a rule names, all links followed, if it lies below an allowed root.
// kPermissionDenied: it does not. kNotFound: there is no such file (now).
Result<std::string> AllowedProgram(std::string_view path,
                                   std::span<const std::string> allowed_roots);
// A rule's program at its place in a document: refused outside the allowed roots; absent ones
// switch the rule off at run time only.
Result<void> SetProgram(Fields& fields, std::string_view field, const RuleDocument& document,
                        const ContractContext& context, CheckRule& rule);
// info, warning, critical, fatal; Aegis' emergency is critical, error and warn are known too.
Result<v1::CheckLevel> ReadLevel(Fields& fields, std::string_view field, v1::CheckLevel fallback);
// One line of clean text of at most so many bytes, cut between characters.
std::string OneLine(std::string_view text, size_t max_bytes);
std::string_view FirstLine(std::string_view text);
// Splits a command line as a shell would, quotes and backslashes only; anything else that a shell
// would act on is an error that says what.
Result<std::vector<std::string>> SplitCommand(std::string_view line);

}  // namespace faultline
