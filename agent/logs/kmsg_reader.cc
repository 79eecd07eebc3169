#include "agent/logs/kmsg_reader.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <utility>

#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxRecordsAtOnce = 1000;
constexpr size_t kMaxRecordBytes =
    8192;  // the kernel's CONSOLE_EXT_LOG_MAX; a smaller buffer reads EINVAL

uint64_t IdOfBoot(const std::string& boot_id) {
  const std::string name = "kmsg " + boot_id;
  return XXH3_64bits(name.data(), name.size());
}

std::unique_ptr<LogParser> MakeParser(uint32_t max_record_bytes) {
  for (const LogParserRow& row : LogParserCatalogue()) {
    if (row.name == "kmsg") return row.make(max_record_bytes);
  }
  return nullptr;
}

// The second field: `6,339,5140900,-;…`
std::optional<uint64_t> NumberOf(std::string_view text) {
  const size_t begin = text.find(',');
  if (begin == std::string_view::npos) return std::nullopt;
  const size_t end = text.find_first_of(",;", begin + 1);
  if (end == std::string_view::npos) return std::nullopt;
  return ParseUint(text.substr(begin + 1, end - begin - 1));
}

}  // namespace

Result<std::unique_ptr<Collector>> KmsgReader::Open(const HostView& host, uint32_t max_record_bytes,
                                                    std::shared_ptr<const LogTreatments> treatments,
                                                    const CommittedPosition& committed,
                                                    std::span<LogObserver* const> observers) {
  const std::string path = host.fs.Path("/dev/kmsg");
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid())
    return FailErrno(errno, "open {} (needs CAP_SYSLOG where dmesg_restrict is set)", path);
  auto reader = std::make_unique<KmsgReader>(std::move(fd), host, max_record_bytes,
                                             std::move(treatments), committed, observers);
  // The first start: what was before it is history.
  if (!reader->next_ && lseek(reader->fd_.get(), 0, SEEK_END) < 0)
    return FailErrno(errno, "seek in {}", path);
  return reader;
}

KmsgReader::KmsgReader(FileDescriptor fd, const HostView& host, uint32_t max_record_bytes,
                       std::shared_ptr<const LogTreatments> treatments,
                       const CommittedPosition& committed, std::span<LogObserver* const> observers)
    : fd_(std::move(fd)),
      host_(host),
      parser_(MakeParser(max_record_bytes)),
      file_id_(IdOfBoot(host.boot_id)),
      treatments_(std::move(treatments)),
      observers_(observers.begin(), observers.end()) {
  if (committed) next_ = committed(file_id_);
}

Result<void> KmsgReader::Wake(Emitter& out) {
  if (!Emit(out)) return {};
  const auto read = ReadRecords();
  Show();
  Emit(out);
  return read;
}

Result<void> KmsgReader::Collect(Emitter& out) {
  static constexpr MetricFamily kRecords{"faultline_log_kmsg_records_total",
                                         v1::METRIC_TYPE_COUNTER,
                                         "Records of the kernel's log that were read."};
  static constexpr MetricFamily kLost{
      "faultline_log_kmsg_lost_records_total", v1::METRIC_TYPE_COUNTER,
      "Records of the kernel's log that were overwritten before they were read."};
  const auto read = Wake(out);
  out.Sample(kRecords, {}, static_cast<double>(records_));
  out.Sample(kLost, {}, static_cast<double>(lost_));
  return read;
}

Result<void> KmsgReader::ReadRecords() {
  char buffer[kMaxRecordBytes];
  for (size_t i = 0; i < kMaxRecordsAtOnce; ++i) {
    const ssize_t n = read(fd_.get(), buffer, sizeof buffer);
    if (n > 0) {
      Take({buffer, static_cast<size_t>(n)});
      continue;
    }
    if (n == 0 || errno == EAGAIN) break;
    // EPIPE: overwritten under us; the next read gives the oldest there is, and its number tells
    // what is missing.
    if (errno != EPIPE && errno != EINTR) return FailErrno(errno, "reading the kernel's log");
  }
  return {};
}

void KmsgReader::Take(std::string_view text) {
  const auto number = NumberOf(text);
  if (!number || (next_ && *number < *next_)) return;
  if (next_) lost_ += *number - *next_;
  if (pending_.records.empty()) pending_.begin_offset = next_.value_or(*number);
  next_ = *number + 1;
  ParsedLine parsed = parser_->Feed({.text = text, .offset = *number, .end_offset = *number + 1});
  if (!parsed.malformed) {
    // The stamp is the kernel's clock since boot.
    parsed.record.time_unix_ns += host_.clock->UnixNs() - host_.clock->SteadyNs();
  }
  if (treatments_) {
    treatments_->Of({.file = "/dev/kmsg"}).Finish(parsed.record, host_.clock->UnixNs());
  }
  pending_.records.push_back(std::move(parsed.record));
  pending_.end_offset = *next_;
  ++records_;
}

void KmsgReader::Show() {
  if (pending_.records.empty()) return;
  pending_.stream_labels = {{"filename", "/dev/kmsg"}, {"job", "kernel"}};
  pending_.file_id = file_id_;
  for (LogObserver* observer : observers_) observer->Observe(pending_);
}

bool KmsgReader::Emit(Emitter& out) {
  if (pending_.records.empty()) return true;
  if (!out.Logs(std::move(pending_))) return false;
  pending_ = {};
  return true;
}

}  // namespace faultline
