// The expression of a conditional branch, over what a task left: exitCode == 0 && stdout == "done".
// || && ! ( ) == != < <= > >= , numbers, strings in single or double quotes, `stdout contains "x"`.
#pragma once

#include <string_view>

#include "common/result.h"

namespace faultline {

// kInvalidArgument: "column 5: …". An empty expression is true.
Result<bool> EvaluateBranch(std::string_view expression, double exit_code,
                            std::string_view stdout_text);

}  // namespace faultline
