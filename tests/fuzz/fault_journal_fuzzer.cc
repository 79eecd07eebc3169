// What the fault engine reads back from disk and from /proc: no bytes may crash it, and what it
// takes it writes the same.
#include <google/protobuf/stubs/logging.h>

#include <cstdint>
#include <string_view>

#include "agent/faults/fault_journal.h"
#include "agent/faults/process_identity.h"
#include "common/assert.h"
#include "common/process_stat.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const google::protobuf::LogSilencer
      quiet;  // it complains about each text that is not UTF-8
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  if (const auto entry = faultline::DecodeJournalEntry(text)) {
    FAULTLINE_ASSERT(
        faultline::DecodeJournalEntry(faultline::EncodeJournalEntry(*entry)).has_value(),
        "round trip");
  }
  // Behind the checksum, which no fuzzer guesses.
  faultline::v1::FaultJournalEntry entry;
  if (entry.ParseFromArray(bytes, static_cast<int>(size))) {
    (void)faultline::DecodeJournalEntry(faultline::EncodeJournalEntry(entry));
  }
  (void)faultline::ParseProcessStat(text);
  if (const auto identity = faultline::ProcessIdentity::Parse(text)) {
    FAULTLINE_ASSERT(faultline::ProcessIdentity::Parse(identity->Text()).has_value(), "round trip");
  }
  return 0;
}
