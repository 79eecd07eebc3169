// CLI11 behind ProgramOptions. CLI11 throws for --help, --version and bad usage alike; its exit
// code says which, and everything that is not 0 becomes 2.
#include "common/program_options.h"

#include <google/protobuf/duration.pb.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "common/assert.h"
#include "common/config.h"
#include "common/version.h"

namespace faultline {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// FAULTLINE_* that are not configuration: of the `faultline` command and of the tests.
const std::vector<std::string> kIgnoredEnvironment = {
    "FAULTLINE_SERVER", "FAULTLINE_TOKEN", "FAULTLINE_BIN", "FAULTLINE_BUILD", "FAULTLINE_SOURCE"};
constexpr size_t kMaxFileBytes = size_t{1} << 20;

Result<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return FailErrno(errno, "reading configuration {}", path);
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad())
    return Fail(ErrorCode::kUnavailable, "reading configuration {}: not readable", path);
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxFileBytes) {
    return Fail(ErrorCode::kInvalidArgument, "{}: larger than {} bytes", path, kMaxFileBytes);
  }
  return text;
}

std::string ValueText(const Message& message, const FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  if (field->is_repeated()) {
    std::string text = "[";
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) continue;
      text += (i == 0 ? "" : ", ") + reflection->GetRepeatedString(message, field, i);
    }
    return text + "]";
  }
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->GetString(message, field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(message, field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_UINT32:
      return fmt::format("{}", reflection->GetUInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return fmt::format("{}", reflection->GetUInt64(message, field));
    default:
      return "";
  }
}

void DescribeInto(const Message& message, const std::string& prefix, std::string& text) {
  const auto* descriptor = message.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    const std::string path = prefix + field->name();
    if (field->is_map()) {
      const auto* value = field->message_type()->map_value();
      for (int j = 0; value->message_type() != nullptr && j < value->message_type()->field_count();
           ++j) {
        text += fmt::format("  {}.<name>.{}\n", path, value->message_type()->field(j)->name());
      }
    } else if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_repeated()) {
      text += fmt::format("  {:34} {}\n", path, ValueText(message, field));
    } else if (field->message_type() == google::protobuf::Duration::descriptor()) {
      google::protobuf::Duration duration;
      duration.CopyFrom(message.GetReflection()->GetMessage(message, field));
      const double seconds = static_cast<double>(duration.seconds()) + duration.nanos() / 1e9;
      text += fmt::format("  {:34} {}s\n", path, seconds);
    } else {
      DescribeInto(message.GetReflection()->GetMessage(message, field), path + ".", text);
    }
  }
}

// Keys of a map of that name, or values of a list of strings, at a dotted path.
std::vector<std::string> NamesAt(const Message& message, std::string_view path) {
  const size_t dot = path.find('.');
  const auto* reflection = message.GetReflection();
  const FieldDescriptor* field =
      message.GetDescriptor()->FindFieldByName(std::string(path.substr(0, dot)));
  FAULTLINE_ASSERT(field != nullptr, "a restriction names a key of the schema");
  if (dot != std::string_view::npos) {
    return NamesAt(reflection->GetMessage(message, field), path.substr(dot + 1));
  }
  std::vector<std::string> names;
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    if (!field->is_map()) {
      names.push_back(reflection->GetRepeatedString(message, field, i));
      continue;
    }
    const Message& entry = reflection->GetRepeatedMessage(message, field, i);
    names.push_back(entry.GetReflection()->GetString(entry, field->message_type()->map_key()));
  }
  return names;
}

}  // namespace

void ProgramOptions::RestrictNames(std::string path, std::vector<std::string_view> names) {
  restrictions_.push_back({std::move(path), std::move(names)});
}

Result<void> ProgramOptions::CheckNames(const Message& config) const {
  for (const Restriction& restriction : restrictions_) {
    for (const std::string& name : NamesAt(config, restriction.path)) {
      if (std::ranges::find(restriction.names, name) != restriction.names.end()) continue;
      const std::string_view near = NearestName(name, restriction.names);
      const std::string hint =
          near.empty() ? "see --list" : fmt::format("did you mean `{}`?", near);
      return Fail(ErrorCode::kInvalidArgument, "{}: {}: unknown name `{}` ({})", config_path_,
                  restriction.path, name, hint);
    }
  }
  return {};
}

std::string ProgramOptions::DescribeKeys(const Message& defaults) {
  std::string text =
      "Configuration keys and their defaults (YAML, --set KEY=VALUE, or FAULTLINE_ with __ for the "
      "dot):\n";
  DescribeInto(defaults, "", text);
  return text;
}

void ProgramOptions::AddFlag(std::string name, std::string doc, bool* value) {
  flags_.push_back({std::move(name), std::move(doc), value});
}

void ProgramOptions::AddList(std::string name, std::string doc, std::vector<std::string>* values) {
  lists_.push_back({std::move(name), std::move(doc), values});
}

std::optional<int> ProgramOptions::ParseArguments(int argc, const char* const* argv,
                                                  const std::function<std::string()>& list,
                                                  const std::function<std::string()>& keys) {
  CLI::App app(program_.summary, program_.name);
  std::string config_path;
  bool list_only = false;
  app.add_option("--config", config_path,
                 "YAML file (default " + program_.default_config + " if it is there)");
  // One value per --set, so that what follows is never swallowed.
  app.add_option("--set", settings_, "a.b=value, over file and environment; repeatable")
      ->allow_extra_args(false);
  app.add_flag("--check-config", check_only_,
               "read the configuration, say what is wrong with it, exit 0 or 2");
  app.add_flag("--list", list_only, "print what this program can do, and exit");
  app.set_version_flag("--version", program_.name + " " + std::string(Version()));
  app.footer(keys);
  for (const Flag& flag : flags_) app.add_flag(flag.name, *flag.value, flag.doc);
  for (const List& option : lists_)
    app.add_option(option.name, *option.values, option.doc)->allow_extra_args(false);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (list_only) {
    std::fputs(list().c_str(), stdout);
    return 0;
  }
  read_file_ = !config_path.empty();
  if (!read_file_ && access(program_.default_config.c_str(), F_OK) == 0) {
    config_path = program_.default_config;
    read_file_ = true;
  }
  if (read_file_) config_path_ = config_path;
  return std::nullopt;
}

Result<void> ProgramOptions::ReadSources(Message* config) const {
  if (read_file_) {
    FAULTLINE_ASSIGN(const std::string text, ReadFile(config_path_));
    FAULTLINE_TRY(ReadYaml(text, config_path_, config));
  }
  FAULTLINE_TRY(ApplyEnvironment(environ, kIgnoredEnvironment, config));
  for (const std::string& setting : settings_)
    FAULTLINE_TRY(ApplySetting(setting, "--set", config));
  return {};
}

std::optional<int> ProgramOptions::Conclude(const Result<void>& loaded) const {
  if (!loaded) {
    std::fprintf(stderr, "%s: %s\n", program_.name.c_str(), loaded.error().message.c_str());
    return 2;
  }
  if (!check_only_) return std::nullopt;
  std::printf("%s: configuration is good\n", config_path_.c_str());
  return 0;
}

}  // namespace faultline
