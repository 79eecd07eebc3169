// YAML 1.2 (core schema) to JSON and back. Plain scalars become null, booleans, integers, floats or strings as the
// core schema says; quoted ones are strings. Bounded: nesting, number of nodes (aliases count each time), length.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "common/result.h"

namespace faultline {

constexpr size_t kMaxYamlBytes = size_t{4} << 20;

// Every document of the text; empty documents are left out. Text that starts with { or [ and is JSON is read as JSON.
// Errors are line:column: reason.
Result<std::vector<boost::json::value>> ParseYaml(std::string_view text);

std::string WriteYaml(const boost::json::value& value);

// line:column of a field such as spec.selector.pods[2] in the nth document; empty if it is not there.
std::string FindYamlField(std::string_view text, size_t document, std::string_view path);

}  // namespace faultline
