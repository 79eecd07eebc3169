// Who else looks at the log stream: each record is shown once, as it leaves the node (parsed,
// re-joined, redacted), whatever number of observers and rules there is. Rules belong behind one
// observer with one LogRuleSet (log_rule_set.h), so that a record costs one pass.
#pragma once

#include "common/emitter.h"

namespace faultline {

class LogObserver {
 public:
  virtual ~LogObserver() = default;
  // Records of one stream, in order. `stream_labels` say whose: job=kernel and filename=/dev/kmsg,
  // job=journal with unit, or filename with namespace, pod and container. On the agent's thread;
  // must be quick and not block. Lines that are read again after a kill are shown again.
  virtual void Observe(const LogChunk& chunk) = 0;
};

}  // namespace faultline
