// Log lines of one stream as columns under one zstd frame: times as differences, severities,
// attribute sets each stored once, bodies one after another. The same form serves the small pieces
// of a commit and the blocks they become.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/store/store.h"

namespace faultline::store {

void EncodeLogBlock(std::span<const LogEntry> entries, int level, std::string& out);
// Only the lines in [begin, end) that contain all needles. kCorruption for bytes that no block has.
Result<std::vector<LogEntry>> DecodeLogBlock(std::string_view bytes, int64_t begin_unix_ns,
                                             int64_t end_unix_ns,
                                             std::span<const std::string> needles);

// Time and template (log_templates.h) of each line in [begin, end) that shares one with others.
Result<void> VisitPatterns(std::string_view bytes, int64_t begin_unix_ns, int64_t end_unix_ns,
                           const std::function<void(int64_t, std::string_view)>& visit);

}  // namespace faultline::store
