// Guards yaml-cpp's LoadAll: at a stray token (`,`) it makes empty documents for ever.
#pragma once

#include <string_view>

#include "common/result.h"

namespace faultline {

// Succeeds if `yaml` has at most `max_documents` documents, or cannot be parsed at all: then
// parsing it says why.
Result<void> CheckYamlDocuments(std::string_view yaml, size_t max_documents,
                                std::string_view origin);

}  // namespace faultline
