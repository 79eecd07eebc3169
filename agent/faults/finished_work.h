// Work that must not be left half done, whatever happens to who asked for it.
#pragma once

#include <cstdint>
#include <functional>

#include "common/result.h"

namespace faultline {

// A process that stands still in the middle of a call of ours must be let go as it was, whatever
// happens to us: so `work` is done by a child that outlives the SIGKILL of its parent. If the
// parent is gone when the work is done, `undo` follows. One child at a time works on this node, so
// whoever recovers comes after it. Blocks until the child is done; both are called in the child,
// which has no threads and no descriptors of ours.
Result<int64_t> FinishWhateverHappens(const std::function<Result<int64_t>()>& work,
                                      const std::function<void()>& undo);

}  // namespace faultline
