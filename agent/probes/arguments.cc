#include "agent/probes/arguments.h"

#include <algorithm>

namespace faultline {
namespace {

constexpr std::string_view kSecretWords[] = {"pass",       "pwd",     "secret",  "token",
                                             "apikey",     "api-key", "api_key", "auth",
                                             "credential", "private", "bearer"};
constexpr std::string_view kHidden = "***";

bool SpeaksOfSecrets(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return std::any_of(std::begin(kSecretWords), std::end(kSecretWords),
                     [&](std::string_view word) { return lower.find(word) != std::string::npos; });
}

// scheme://user:password@host
std::string WithoutUser(std::string_view argument) {
  const size_t begin = argument.find("://");
  if (begin == std::string_view::npos) return std::string(argument);
  const size_t at = argument.find('@', begin);
  if (at == std::string_view::npos || argument.find('/', begin + 3) < at)
    return std::string(argument);
  std::string text(argument.substr(0, begin + 3));
  text += kHidden;
  return text += argument.substr(at);
}

std::string Redacted(std::string_view argument, bool& hide_next) {
  if (hide_next) {
    hide_next = false;
    return std::string(kHidden);
  }
  const size_t equals = argument.find_first_of("=:");
  if (equals != std::string_view::npos && SpeaksOfSecrets(argument.substr(0, equals))) {
    std::string text(argument.substr(0, equals + 1));
    return text += kHidden;
  }
  if (argument.starts_with("-") && SpeaksOfSecrets(argument)) hide_next = true;
  if (argument.starts_with("-p") && argument.size() > 2 && argument[2] != '-' &&
      argument.find_first_not_of("0123456789:", 2) != std::string_view::npos &&
      !SpeaksOfSecrets(argument) && !argument.starts_with("-path")) {
    return "-p" + std::string(kHidden);
  }
  return WithoutUser(argument);
}

}  // namespace

Arguments ArgumentsShown(std::string_view configured) {
  if (configured == "none") return Arguments::kNone;
  return configured == "all" ? Arguments::kAll : Arguments::kRedacted;
}

std::string ArgumentsText(std::string_view raw, Arguments shown) {
  std::string text;
  if (shown == Arguments::kNone) return text;
  bool hide_next = false;
  while (!raw.empty()) {
    const size_t end = std::min(raw.find('\0'), raw.size());
    const std::string_view argument = raw.substr(0, end);
    if (!text.empty()) text += ' ';
    text += shown == Arguments::kAll ? std::string(argument) : Redacted(argument, hide_next);
    raw.remove_prefix(std::min(end + 1, raw.size()));
  }
  return text;
}

}  // namespace faultline
