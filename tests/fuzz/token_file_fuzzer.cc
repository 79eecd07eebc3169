// The token file: any text is a table or an error that names a line.
#include <cstdint>
#include <string_view>

#include "aggregator/api/tokens.h"
#include "common/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto table = faultline::TokenTable::Parse(text, "tokens");
  FAULTLINE_ASSERT(table || table.error().message.starts_with("tokens:"), "an error names its line");
  if (table) (void)table->Find(text);
  return 0;
}
