// What the runner is asked for when a rule's program is due: the program below an allowed root, its
// environment, the view that it sees.
#pragma once

#include "agent/checks/check_engine.h"
#include "agent/checks/rule.h"
#include "common/result.h"
#include "faultline/v1/check_run.pb.h"

namespace faultline {

// `view`: the rule's, or the one that was asked for. kUnavailable: what it shall be seen from is
// not here now. kPermissionDenied, kNotFound: as AllowedProgram says.
Result<v1::RunProgram> RequestOf(const CheckRule& rule, const v1::CheckView& view,
                                 const CheckEngineOptions& options);

}  // namespace faultline
