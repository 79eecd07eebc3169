// Docker's json-file: one object a line, {"log":"text\n","stream":"stdout","time":"…","attrs":{…}}.
// A text without final newline is a piece of a longer record of its stream. The scanner reads just
// this: members in any order, unknown ones skipped whatever they hold; nothing is allocated but the
// text.
#include "agent/logs/partial_record.h"
#include "common/text.h"

namespace faultline {
namespace {

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : text_(text) {}

  bool Take(char c) {
    SkipBlanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool AtEnd() {
    SkipBlanks();
    return at_ == text_.size();
  }

  // A string, unescaped.
  bool TakeString(std::string& out) {
    out.clear();
    if (!Take('"')) return false;
    while (at_ < text_.size()) {
      const size_t plain = text_.find_first_of("\"\\", at_);
      if (plain == std::string_view::npos) return false;
      out += text_.substr(at_, plain - at_);
      at_ = plain + 1;
      if (text_[plain] == '"') return true;
      if (!TakeEscape(out)) return false;
    }
    return false;
  }

  // Any value: strings are skipped as strings, the rest by counting brackets.
  bool SkipValue() {
    size_t depth = 0;
    std::string ignored;
    do {
      SkipBlanks();
      if (at_ >= text_.size()) return false;
      const char c = text_[at_];
      if (c == '"') {
        if (!TakeString(ignored)) return false;
        continue;
      }
      if (depth == 0 && (c == ',' || c == '}')) return false;
      ++at_;
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && depth-- == 0) return false;
      if (depth == 0 && c != '}' && c != ']') SkipWord();
    } while (depth > 0);
    return true;
  }

 private:
  void SkipBlanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }
  void SkipWord() {
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '}') ++at_;
  }

  std::optional<uint32_t> TakeHex4() {
    if (text_.size() - at_ < 4) return std::nullopt;
    const auto unit = ParseUint(text_.substr(at_, 4), 16);
    if (!unit) return std::nullopt;
    at_ += 4;
    return static_cast<uint32_t>(*unit);
  }

  bool TakeEscape(std::string& out) {
    if (at_ >= text_.size()) return false;
    constexpr std::string_view kFrom = "\"\\/bfnrt";
    constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
    const char c = text_[at_++];
    if (const size_t plain = kFrom.find(c); plain != std::string_view::npos) {
      out += kTo[plain];
      return true;
    }
    if (c != 'u') return false;
    auto unit = TakeHex4();
    if (!unit) return false;
    uint32_t point = *unit;
    if (point >= 0xD800 && point < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
      const size_t before = at_;
      at_ += 2;
      const auto low = TakeHex4();
      if (low && *low >= 0xDC00 && *low < 0xE000) {
        point = 0x10000 + ((point - 0xD800) << 10) + (*low - 0xDC00);
      } else {
        at_ = before;
      }
    }
    if (point >= 0xD800 && point < 0xE000) point = 0xFFFD;  // half a pair
    AppendUtf8(out, point);
    return true;
  }

  static void AppendUtf8(std::string& out, uint32_t point) {
    if (point < 0x80) {
      out += static_cast<char>(point);
    } else if (point < 0x800) {
      out += static_cast<char>(0xC0 | (point >> 6));
      out += static_cast<char>(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
      out += static_cast<char>(0xE0 | (point >> 12));
      out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
      out += static_cast<char>(0x80 | (point & 0x3F));
    } else {
      out += static_cast<char>(0xF0 | (point >> 18));
      out += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
      out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
      out += static_cast<char>(0x80 | (point & 0x3F));
    }
  }

  std::string_view text_;
  size_t at_ = 0;
};

class DockerParser final : public LogParser {
 public:
  explicit DockerParser(uint32_t max_record_bytes)
      : out_(max_record_bytes), err_(max_record_bytes) {}

  ParsedLine Feed(const LogLine& line) override {
    bool has_log = false;
    if (!Scan(line.text, has_log) || !has_log) {
      ParsedLine as_it_stands{.ready = true, .malformed = true};
      as_it_stands.record.body = line.text;
      as_it_stands.record.offset = line.offset;
      return as_it_stands;
    }
    const bool is_err = stream_ == ParsedLine::kStderr;
    const bool full = log_.ends_with('\n');
    if (full) log_.pop_back();
    PartialRecord& record = is_err ? err_ : out_;
    record.Append(log_, ParseTime(time_).value_or(0), line.offset);
    return full ? record.Finish(is_err ? ParsedLine::kStderr : ParsedLine::kStdout) : ParsedLine{};
  }

  std::optional<uint64_t> unfinished(std::string_view stream) const override {
    if (stream == ParsedLine::kStdout) return out_.offset();
    if (stream == ParsedLine::kStderr) return err_.offset();
    return std::nullopt;
  }

  std::vector<ParsedLine> Flush() override {
    std::vector<ParsedLine> last;
    if (out_.open()) last.push_back(out_.Finish(ParsedLine::kStdout));
    if (err_.open()) last.push_back(err_.Finish(ParsedLine::kStderr));
    return last;
  }

 private:
  bool Scan(std::string_view text, bool& has_log) {
    JsonScanner json(text);
    stream_.clear();
    time_.clear();
    if (!json.Take('{')) return false;
    do {
      if (!json.TakeString(key_) || !json.Take(':')) return false;
      if (key_ == "log") {
        has_log = true;
        if (!json.TakeString(log_)) return false;
      } else if (key_ == "stream") {
        if (!json.TakeString(stream_)) return false;
      } else if (key_ == "time") {
        if (!json.TakeString(time_)) return false;
      } else if (!json.SkipValue()) {
        return false;
      }
    } while (json.Take(','));
    return json.Take('}') && json.AtEnd();
  }

  std::string key_, log_, stream_, time_;  // kept for their capacity
  PartialRecord out_;
  PartialRecord err_;
};

}  // namespace

std::unique_ptr<LogParser> MakeDockerParser(uint32_t max_record_bytes) {
  return std::make_unique<DockerParser>(max_record_bytes);
}

}  // namespace faultline
