#include "agent/checks/contracts/nhc_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "common/text.h"

namespace faultline {
namespace {

bool IsNameChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

bool IsFigure(std::string_view name) {
  constexpr std::string_view kFigures[] = {"HW_SOCKETS",   "HW_CORES",    "HW_THREADS",
                                           "HW_RAM_TOTAL", "HW_RAM_FREE", "HW_SWAP_TOTAL",
                                           "HW_SWAP_FREE"};
  return std::ranges::find(kFigures, name) != std::end(kFigures);
}

class LineReader {
 public:
  LineReader(std::string_view text, const std::map<std::string, std::string>& variables)
      : text_(text), variables_(variables) {}

  Result<NhcLine> Read() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == ' ' || c == '\t') {
        EndWord();
        ++at_;
      } else if (c == '#' && !word_) {
        break;
      } else if (c == ';' || text_.substr(at_).starts_with("&&")) {
        EndCommand();
        at_ += c == ';' ? 1 : 2;
      } else if (std::string_view("|&<>()`").find(c) != std::string_view::npos) {
        return Fail(ErrorCode::kUnsupported, "`{}` needs a shell, which rules do not get", c);
      } else {
        FAULTLINE_TRY(ReadPart(c));
      }
    }
    EndCommand();
    return std::move(line_);
  }

 private:
  std::string& Word() { return word_ ? *word_ : word_.emplace(); }
  void EndWord() {
    if (word_) words_.push_back(std::move(*word_));
    word_.reset();
  }
  void EndCommand() {
    EndWord();
    if (!words_.empty()) line_.commands.push_back(std::move(words_));
    words_.clear();
  }

  Result<void> ReadPart(char c) {
    if (c == '\'') {
      const size_t end = text_.find('\'', at_ + 1);
      if (end == std::string_view::npos)
        return Fail(ErrorCode::kInvalidArgument, "a quote ' is not closed");
      Word() += text_.substr(at_ + 1, end - at_ - 1);
      at_ = end + 1;
      return {};
    }
    if (c == '"') return ReadQuoted();
    if (c == '\\' && at_ + 1 < text_.size()) {
      Word() += text_[at_ + 1];
      at_ += 2;
      return {};
    }
    if (c == '$') return ReadVariable(false);
    Word() += c;
    ++at_;
    return {};
  }

  Result<void> ReadQuoted() {
    Word();
    for (++at_; at_ < text_.size();) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return {};
      }
      if (c == '`')
        return Fail(ErrorCode::kUnsupported, "`{}` needs a shell, which rules do not get", c);
      const bool escaped =
          c == '\\' && at_ + 1 < text_.size() &&
          std::string_view("$`\"\\").find(text_[at_ + 1]) != std::string_view::npos;
      if (c == '$') {
        FAULTLINE_TRY(ReadVariable(true));
      } else {
        Word() += text_[escaped ? at_ + 1 : at_];
        at_ += escaped ? 2 : 1;
      }
    }
    return Fail(ErrorCode::kInvalidArgument, "a quote \" is not closed");
  }

  Result<void> ReadVariable(bool quoted) {
    const std::string_view rest = text_.substr(at_ + 1);
    if (rest.starts_with("((")) return ReadSum();
    if (rest.starts_with("("))
      return Fail(ErrorCode::kUnsupported, "`$(` needs a shell, which rules do not get");
    const bool braced = rest.starts_with("{");
    size_t end = braced ? 1 : 0;
    while (end < rest.size() && IsNameChar(rest[end])) ++end;
    const std::string name(rest.substr(braced ? 1 : 0, end - (braced ? 1 : 0)));
    if (braced && (name.empty() || end >= rest.size() || rest[end] != '}'))
      return Fail(ErrorCode::kUnsupported, "of ${{…}} only ${{NAME}} is understood");
    if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) {
      Word() += '$';
      ++at_;
      return {};
    }
    at_ += 1 + end + (braced ? 1 : 0);
    Put(name, quoted);
    return {};
  }

  void Put(const std::string& name, bool quoted) {
    const auto known = variables_.find(name);
    if (known == variables_.end() && IsFigure(name)) {
      Word() += kFigureBegin + name + kFigureEnd;
      return;
    }
    if (known == variables_.end()) line_.unset.push_back(name);
    if (known == variables_.end() && quoted) Word();
    if (known == variables_.end()) return;
    // Without quotes a value falls into words, unless something is being set to it.
    const bool whole = quoted || (word_ && word_->find('=') != std::string::npos);
    for (const char c : known->second) {
      if (!whole && (c == ' ' || c == '\t'))
        EndWord();
      else
        Word() += c;
    }
  }

  // Only numbers and figures may come to the shell's arithmetic: it runs what it finds in brackets.
  Result<void> ReadSum() {
    const size_t end = text_.find("))", at_);
    if (end == std::string_view::npos)
      return Fail(ErrorCode::kInvalidArgument, "$(( is not closed");
    const std::string_view sum = text_.substr(at_ + 3, end - at_ - 3);
    std::string plain;
    for (size_t i = 0; i < sum.size();) {
      const char c = sum[i];
      if (std::string_view("+-*/%() $").find(c) != std::string_view::npos) {
        if (c != '$') plain += c;
        ++i;
        continue;
      }
      const size_t begin = i;
      while (i < sum.size() && IsNameChar(sum[i])) ++i;
      const std::string name(sum.substr(begin, i - begin));
      const auto known = variables_.find(name);
      if (ParseUint(name) || IsFigure(name)) {
        plain += name;
      } else if (known != variables_.end() && ParseUint(known->second)) {
        plain += known->second;
      } else {
        return Fail(ErrorCode::kInvalidArgument, "$(({})) is not plain arithmetic", sum);
      }
    }
    at_ = end + 2;
    if (word_ ||
        (at_ < text_.size() && text_[at_] != ' ' && text_[at_] != '\t' && text_[at_] != '"'))
      return Fail(ErrorCode::kUnsupported, "$(({})) must be a word of its own", sum);
    Word() = "=((" + plain + "))";
    return {};
  }

  std::string_view text_;
  const std::map<std::string, std::string>& variables_;
  size_t at_ = 0;
  std::optional<std::string> word_;
  NhcWords words_;
  NhcLine line_;
};

}  // namespace

bool IsShellName(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, IsNameChar);
}

Result<NhcLine> ReadNhcLine(std::string_view text,
                            const std::map<std::string, std::string>& variables) {
  return LineReader(text, variables).Read();
}

bool InNhcRange(std::string_view list, std::string_view node) {
  const auto spans = [&node](std::string_view item) {
    const size_t open = item.find('[');
    if (open == std::string_view::npos) return item == node;
    const size_t close = item.find(']', open);
    const std::string_view before = item.substr(0, open);
    if (close == std::string_view::npos) return false;
    const std::string_view after = item.substr(close + 1);
    if (!node.starts_with(before) || !node.ends_with(after) ||
        node.size() <= before.size() + after.size())
      return false;
    const std::string_view digits =
        node.substr(before.size(), node.size() - before.size() - after.size());
    const auto number = ParseUint(digits);
    for (const std::string_view span : Split(item.substr(open + 1, close - open - 1), ',')) {
      const size_t dash = span.find('-');
      const std::string_view first = span.substr(0, dash);
      const std::string_view last = dash == std::string_view::npos ? first : span.substr(dash + 1);
      const auto low = ParseUint(first), high = ParseUint(last);
      if (number && low && high && std::min(*low, *high) <= *number &&
          *number <= std::max(*low, *high) &&
          digits.size() == std::max(first.size(), last.size())) {
        return true;
      }
    }
    return false;
  };
  std::string item;
  int depth = 0;
  for (const char c : list) {
    depth += c == '[' ? 1 : c == ']' ? -1 : 0;
    if (c != ',' || depth != 0) {
      item += c;
      continue;
    }
    if (spans(Trim(item))) return true;
    item.clear();
  }
  return spans(Trim(item));
}

}  // namespace faultline
