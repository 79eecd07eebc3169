// A parser turns the lines of one file into records. One instance per file: it may keep state between lines
// (partial records). The tailer owns it, on the agent's thread.
#pragma once

#include <memory>
#include <span>
#include <string_view>

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
  std::string stream;  // stdout, stderr or empty; becomes the stream label of that name
};

class LogParser {
 public:
  virtual ~LogParser() = default;
  virtual ParsedLine Feed(const LogLine& line) = 0;
};

struct LogParserRow {
  std::string_view name;  // cri, docker, plain …
  std::string_view doc;
  std::unique_ptr<LogParser> (*make)(uint32_t max_record_bytes) = nullptr;
};

std::span<const LogParserRow> LogParserCatalogue();

}  // namespace faultline
