// The half of a log file that makes records of its text: lines, the parser, records of several
// lines, and what of it all need not be read again.
#include <algorithm>
#include <utility>

#include "agent/logs/log_file.h"
#include "agent/logs/severity.h"
#include "common/assert.h"
#include "common/clock.h"

namespace faultline {
namespace {

std::unique_ptr<LogParser> MakeParser(std::string_view name, uint32_t max_record_bytes) {
  for (const LogParserRow& row : LogParserCatalogue()) {
    if (row.name == name) return row.make(max_record_bytes);
  }
  FAULTLINE_ASSERT(false, "a parser that is in the catalogue");
  return nullptr;
}

}  // namespace

void LogFile::Advance(std::string_view taken) {
  position_ += taken.size();
  if (taken.size() >= kOverlapBytes) {
    overlap_ = taken.substr(taken.size() - kOverlapBytes);
  } else {
    overlap_ += taken;
    if (overlap_.size() > kOverlapBytes) overlap_.erase(0, overlap_.size() - kOverlapBytes);
  }
}

void LogFile::TakeLines(std::string_view text, LogSlice& slice) {
  size_t at = 0;
  while (at < text.size()) {
    const std::string_view rest = text.substr(at);
    const size_t newline = rest.find('\n');
    if (skipping_) {
      const size_t skipped = newline == std::string_view::npos ? rest.size() : newline + 1;
      slice.lost_too_long += newline == std::string_view::npos ? skipped : newline;
      skipping_ = newline == std::string_view::npos;
      at += skipped;
      continue;
    }
    if (newline == std::string_view::npos) {
      if (rest.size() < options_.max_line_bytes) break;
      TakeLine(rest.substr(0, options_.max_line_bytes), position_ + at,
               position_ + at + options_.max_line_bytes, slice);
      at += options_.max_line_bytes;
      skipping_ = true;
      continue;
    }
    TakeLine(rest.substr(0, newline), position_ + at, position_ + at + newline + 1, slice);
    at += newline + 1;
  }
  slice.bytes += at;
  Advance(text.substr(0, at));
}

void LogFile::ChooseParser(char first) {
  const std::string_view name = !options_.parser.empty() ? options_.parser
                                : first == '{'           ? "docker"
                                                         : "cri";
  parser_ = MakeParser(name, options_.max_line_bytes);
  if (name == "plain") streams_[0].file_id = generation_.file_id;
}

void LogFile::TakeLine(std::string_view text, uint64_t offset, uint64_t end_offset,
                       LogSlice& slice) {
  if (!parser_) ChooseParser(text.empty() ? '\0' : text.front());
  LogLine line{.text = text, .offset = offset, .end_offset = end_offset};
  if (text.size() > options_.max_line_bytes) {
    slice.lost_too_long += text.size() - options_.max_line_bytes;
    line.text = text.substr(0, options_.max_line_bytes);
  }
  TakeRecord(parser_->Feed(line), slice);
}

LogFile::Stream& LogFile::StreamOf(std::string_view name) {
  return name == ParsedLine::kStdout   ? streams_[1]
         : name == ParsedLine::kStderr ? streams_[2]
                                       : streams_[0];
}

void LogFile::TakeRecord(ParsedLine&& parsed, LogSlice& slice) {
  slice.lost_too_long += parsed.cut_bytes;
  slice.malformed += parsed.malformed ? 1 : 0;
  if (!parsed.ready) return;
  if (parsed.record.body.ends_with('\r')) parsed.record.body.pop_back();
  Stream& stream = StreamOf(parsed.stream);
  if (!stream.joiner) return KeepRecord(stream, std::move(parsed), slice);
  if (auto ended = stream.joiner->Feed(std::move(parsed)))
    KeepRecord(stream, *std::move(ended), slice);
}

void LogFile::KeepRecord(Stream& stream, ParsedLine&& parsed, LogSlice& slice) {
  LogChunk::Record& record = parsed.record;
  if (record.offset < stream.end) return;  // handed over before a restart
  if (parsed.cut_bytes > 0)
    record.attributes.emplace_back("log.cut_bytes", std::to_string(parsed.cut_bytes));
  if (options_.treatment != nullptr) {
    // Asking for the time of every record would cost as much as its parsing.
    const bool asks = options_.treatment->text != nullptr && options_.clock != nullptr;
    options_.treatment->Finish(record, asks ? options_.clock->UnixNs() : 0);
  } else if (record.severity == v1::SEVERITY_UNSPECIFIED) {
    record.severity = SeverityOfText(record.body);
  }
  ++slice.lines;
  stream.chunk.records.push_back(std::move(record));
}

// What waits for more is all there will be.
void LogFile::FlushRecords(LogSlice& slice, bool parser_too) {
  if (parser_ && parser_too) {
    for (ParsedLine& last : parser_->Flush()) TakeRecord(std::move(last), slice);
  }
  for (Stream& stream : streams_) {
    if (!stream.joiner) continue;
    if (auto last = stream.joiner->Flush()) KeepRecord(stream, *std::move(last), slice);
  }
}

// Nothing has come for two looks: what may belong to the last record would have been here.
void LogFile::FlushQuiet(LogSlice& slice) {
  const bool waits = std::ranges::any_of(
      streams_, [](const Stream& stream) { return stream.joiner && stream.joiner->waits(); });
  if (!waits) return;
  slice.waits = ++quiet_looks_ < 2;
  if (slice.waits) return;
  FlushRecords(slice, false);
  CloseChunks(slice);
}

uint64_t LogFile::BeginOfUnfinished(const Stream& stream) const {
  uint64_t begin = parser_ ? parser_->unfinished(stream.name).value_or(position_) : position_;
  if (stream.joiner) begin = std::min(begin, stream.joiner->offset().value_or(begin));
  return begin;
}

void LogFile::CloseChunks(LogSlice& slice) {
  uint64_t safe = position_;  // nothing before it is needed again
  bool any = false;
  const auto add = [&](LogChunk&& chunk) {
    chunk.continues = std::exchange(any, true);
    slice.chunks.push_back(std::move(chunk));
  };
  for (Stream& stream : streams_) {
    const uint64_t begun = BeginOfUnfinished(stream);
    safe = std::min(safe, begun);
    if (stream.chunk.records.empty()) continue;
    LogChunk chunk = std::exchange(stream.chunk, {});
    chunk.stream_labels = options_.labels;
    if (!stream.name.empty()) {
      const auto at =
          std::ranges::lower_bound(chunk.stream_labels, std::string_view("stream"), {},
                                   [](const auto& label) { return std::string_view(label.first); });
      chunk.stream_labels.emplace(at, "stream", stream.name);
    }
    chunk.file_id = stream.file_id;
    chunk.begin_offset = stream.end;
    chunk.end_offset = stream.end = begun;
    add(std::move(chunk));
  }
  if (!any || safe <= handed_over_) return;
  if (slice.chunks.back().file_id != generation_.file_id) {
    LogChunk position;  // carries no records: how far the file need not be read again
    position.stream_labels = slice.chunks.back().stream_labels;
    position.file_id = generation_.file_id;
    position.begin_offset = handed_over_;
    position.end_offset = safe;
    add(std::move(position));
  }
  handed_over_ = safe;
}

}  // namespace faultline
