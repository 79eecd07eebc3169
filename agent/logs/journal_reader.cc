#include "agent/logs/journal_reader.h"

#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <xxhash.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxEntriesAtOnce = 2000;
constexpr size_t kMaxUnits = 1000;  // what is beyond shares one stream
constexpr std::string_view kOtherUnits = "other";

uint64_t IdOf(const std::string& numbering, std::string_view unit) {
  const std::string name = fmt::format("journal {} {}", numbering, unit);
  const uint64_t id = XXH3_64bits(name.data(), name.size());
  return id == 0 ? 1 : id;
}

v1::Severity SeverityOfPriority(std::string_view priority) {
  const auto level = ParseUint(priority);
  if (!level || *level > 7) return v1::SEVERITY_UNSPECIFIED;
  return *level <= 2   ? v1::SEVERITY_FATAL
         : *level == 3 ? v1::SEVERITY_ERROR
         : *level == 4 ? v1::SEVERITY_WARN
         : *level == 7 ? v1::SEVERITY_DEBUG
                       : v1::SEVERITY_INFO;
}

// The part of a cursor behind `s=`, `i=` …
std::string_view CursorField(std::string_view cursor, char name) {
  for (const std::string_view part : Split(cursor, ';')) {
    if (part.size() > 2 && part[0] == name && part[1] == '=') return part.substr(2);
  }
  return {};
}

}  // namespace

void JournalReader::Close::operator()(sd_journal* journal) const { sd_journal_close(journal); }

JournalReader::~JournalReader() = default;

Result<std::unique_ptr<Collector>> JournalReader::Open(
    const HostView& host, const Options& options, std::shared_ptr<const LogTreatments> treatments,
    const CommittedPosition& committed, std::span<LogObserver* const> observers) {
  auto reader = std::unique_ptr<JournalReader>(new JournalReader);
  reader->host_ = &host;
  reader->options_ = options;
  reader->treatments_ = std::move(treatments);
  reader->committed_ = committed;
  reader->observers_.assign(observers.begin(), observers.end());
  for (const std::string& folder : options.folders) {
    const std::string path = host.fs.Path(folder);
    struct stat status{};
    if (stat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) continue;
    sd_journal* opened = nullptr;
    if (const int failed = sd_journal_open_directory(&opened, path.c_str(), 0); failed < 0)
      return FailErrno(-failed, "open the journal in {}", path);
    reader->journal_.reset(opened);
    sd_journal_set_data_threshold(opened, options.max_record_bytes);
    FAULTLINE_TRY(reader->Seek());
    return reader;
  }
  return Fail(ErrorCode::kNotFound, "no journal in {}", fmt::join(options.folders, " or "));
}

std::optional<int> JournalReader::wake_fd() const {
  const int fd = sd_journal_get_fd(journal_.get());
  return fd < 0 ? std::nullopt : std::optional(fd);
}

std::optional<JournalReader::Place> JournalReader::PlaceOfEntry() const {
  char* text = nullptr;
  if (sd_journal_get_cursor(journal_.get(), &text) < 0) return std::nullopt;
  const std::unique_ptr<char, decltype(&std::free)> cursor(text, std::free);
  const auto number = ParseUint(CursorField(text, 'i'), 16);
  if (!number) return std::nullopt;
  return Place{.numbering = std::string(CursorField(text, 's')), .number = *number};
}

// Behind the last entry that was handed over, or behind the newest of all.
Result<void> JournalReader::Seek() {
  sd_journal* const journal = journal_.get();
  if (sd_journal_seek_tail(journal) < 0 || sd_journal_previous(journal) <= 0) return {};
  const auto newest = PlaceOfEntry();
  const auto position =
      newest && committed_ ? committed_(IdOf(newest->numbering, "")) : std::nullopt;
  if (!newest || !position) {
    if (newest) last_ = *newest;
    return {};
  }
  last_ = {.numbering = newest->numbering, .number = *position - 1};
  const std::string cursor = fmt::format("s={};i={:x}", last_.numbering, last_.number);
  if (const int failed = sd_journal_seek_cursor(journal, cursor.c_str()); failed < 0)
    return FailErrno(-failed, "seek in the journal");
  return {};
}

std::string_view JournalReader::Field(const char* name) const {
  const void* value = nullptr;
  size_t bytes = 0;
  if (sd_journal_get_data(journal_.get(), name, &value, &bytes) < 0) return {};
  const std::string_view text(static_cast<const char*>(value), bytes);
  const size_t equals = text.find('=');
  return equals == std::string_view::npos ? std::string_view() : text.substr(equals + 1);
}

Result<void> JournalReader::Collect(Emitter& out) {
  static constexpr MetricFamily kEntries{"faultline_log_journal_entries_total",
                                         v1::METRIC_TYPE_COUNTER,
                                         "Entries of the journal that were read."};
  static constexpr MetricFamily kCut{"faultline_log_journal_cut_bytes_total",
                                     v1::METRIC_TYPE_COUNTER,
                                     "Bytes of journal entries beyond logs.max_line_bytes."};
  const auto read = Wake(out);
  out.Sample(kEntries, {}, static_cast<double>(entries_));
  out.Sample(kCut, {}, static_cast<double>(cut_bytes_));
  return read;
}

Result<void> JournalReader::Wake(Emitter& out) {
  sd_journal_process(journal_.get());
  if (!Emit(out)) return {};
  const auto read = ReadEntries();
  Show();
  Emit(out);
  return read;
}

Result<void> JournalReader::ReadEntries() {
  for (size_t i = 0; i < kMaxEntriesAtOnce; ++i) {
    const int moved = sd_journal_next(journal_.get());
    if (moved < 0) return FailErrno(-moved, "reading the journal");
    if (moved == 0) break;
    const auto place = PlaceOfEntry();
    if (!place || (place->numbering == last_.numbering && place->number <= last_.number)) continue;
    if (place->numbering != last_.numbering && !open_.empty()) {
      sd_journal_previous(journal_.get());  // the next pass: a position is of one numbering
      break;
    }
    Take(*place);
    last_ = *place;
  }
  return {};
}

void JournalReader::Take(const Place& place) {
  if (options_.without_kernel && Field("_TRANSPORT") == "kernel") return;
  std::string unit(Field("_SYSTEMD_UNIT"));
  if (unit.empty()) unit = Field("SYSLOG_IDENTIFIER");
  if (unit.empty()) unit = kOtherUnits;
  if (!treatments_->Wanted({.file = unit})) return;
  if (open_.size() >= kMaxUnits && !open_.contains(unit)) unit = kOtherUnits;
  LogChunk& chunk = open_[unit];
  if (chunk.records.empty()) {
    chunk.stream_labels = {{"job", "journal"}, {"unit", unit}};
    chunk.file_id = IdOf(place.numbering, unit);
    chunk.begin_offset = place.number;
  }
  LogChunk::Record record;
  uint64_t realtime_us = 0;
  if (sd_journal_get_realtime_usec(journal_.get(), &realtime_us) >= 0)
    record.time_unix_ns = static_cast<int64_t>(realtime_us) * 1000;
  record.severity = SeverityOfPriority(Field("PRIORITY"));
  const std::string_view message = Field("MESSAGE");
  record.body = message.substr(0, options_.max_record_bytes);
  cut_bytes_ += message.size() - record.body.size();
  const std::pair<const char*, const char*> attributes[] = {{"SYSLOG_IDENTIFIER", "syslog.appname"},
                                                            {"_PID", "process.pid"},
                                                            {"_COMM", "process.command"}};
  for (const auto& [field, name] : attributes) {
    if (const std::string_view value = Field(field); !value.empty())
      record.attributes.emplace_back(name, value.substr(0, 256));
  }
  record.offset = place.number;
  treatments_->Of({.file = unit}).Finish(record, host_->clock->UnixNs());
  chunk.records.push_back(std::move(record));
  chunk.end_offset = place.number + 1;
  ++entries_;
}

void JournalReader::Show() {
  if (open_.empty()) return;
  LogChunk position;  // carries no records: how far the journal need not be read again
  for (auto& [unit, chunk] : std::exchange(open_, {})) {
    for (LogObserver* observer : observers_) observer->Observe(chunk);
    position.stream_labels = chunk.stream_labels;
    pending_.push_back(std::move(chunk));
  }
  position.file_id = IdOf(last_.numbering, "");
  position.end_offset = last_.number + 1;
  pending_.push_back(std::move(position));
}

bool JournalReader::Emit(Emitter& out) {
  size_t taken = 0;
  while (taken < pending_.size() && out.Logs(std::move(pending_[taken]))) ++taken;
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(taken));
  return pending_.empty();
}

}  // namespace faultline
