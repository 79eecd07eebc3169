// A parser turns the lines of one file into records. One instance per file: it may keep state
// between lines (partial records). The tailer owns it, on the agent's thread, and finishes what it
// returns: UTF-8, severity, labels.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/emitter.h"

namespace faultline {

struct LogLine {
  std::string_view text;    // without newline
  uint64_t offset = 0;      // of its first byte in the file
  uint64_t end_offset = 0;  // behind its newline
};

// What a parser produced from a line. `ready` false: the line is the beginning of a longer record.
struct ParsedLine {
  bool ready = false;
  LogChunk::Record record;
  std::string_view stream;  // kStdout, kStderr or empty; becomes the stream label of that name
  bool malformed = false;   // not of this format: the record is the line as it stands
  uint64_t cut_bytes = 0;   // of the record's text that did not fit into max_record_bytes

  static constexpr std::string_view kStdout = "stdout";
  static constexpr std::string_view kStderr = "stderr";
};

class LogParser {
 public:
  virtual ~LogParser() = default;
  virtual ParsedLine Feed(const LogLine& line) = 0;
  // Offset of the unfinished record of that stream: reading must begin there again after a restart.
  virtual std::optional<uint64_t> unfinished(std::string_view /*stream*/) const {
    return std::nullopt;
  }
  // The file has ended: what was unfinished is all there will be.
  virtual std::vector<ParsedLine> Flush() { return {}; }
};

struct LogParserRow {
  std::string_view name;  // cri, docker, plain …
  std::string_view doc;
  std::unique_ptr<LogParser> (*make)(uint32_t max_record_bytes) = nullptr;
};

std::span<const LogParserRow> LogParserCatalogue();

}  // namespace faultline
