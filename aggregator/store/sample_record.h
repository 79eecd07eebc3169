// One record of the durable log: the samples of one commit, in order. Short-lived: gone once its
// samples are in chunks or in snapshots of heads. Ids and times as differences, whole numbers as
// varints, all of it under zstd's fastest level.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aggregator/store/store.h"

namespace faultline::store {

void EncodeSampleRecord(const std::vector<AppendBatch::SampleRow>& rows, std::string& out);
// kCorruption for bytes that no record has. Decoded size is bounded.
Result<std::vector<AppendBatch::SampleRow>> DecodeSampleRecord(std::string_view bytes);

}  // namespace faultline::store
