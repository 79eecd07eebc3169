// What was seen of a log file that is not taken yet: should the agent die and the file be gone, that much is lost.
#pragma once

#include <cstdint>
#include <string>

namespace faultline {

struct UnreadLog {
  uint64_t file_id = 0;
  uint64_t size = 0;  // 0: nothing of it is unread any more
  std::string name_space, pod, container;
};

}  // namespace faultline
