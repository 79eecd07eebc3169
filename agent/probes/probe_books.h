// What a probe made, delivered and dropped, and what its programs cost.
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/include/account.h"
#include "common/emitter.h"

namespace faultline {

// The books of one probe, as metrics: produced = delivered + pending + all drops. And what its
// programs cost: the kernel counts run time only while asked to, which costs time itself, so that
// it is asked in one pass out of sixty.
class ProbeBooks {
 public:
  // `accounts` is the array of account.h in the object's bss.
  ProbeBooks(std::string_view probe, const bpf_object* object, const account* accounts);
  ~ProbeBooks();
  ProbeBooks(const ProbeBooks&) = delete;
  ProbeBooks& operator=(const ProbeBooks&) = delete;

  void Delivered(uint64_t count) { delivered_ += count; }
  // Drops that user space decides on.
  void Dropped(std::string_view reason, uint64_t count);
  void Pending(uint64_t count) { pending_ = count; }
  account Sum() const;
  void Emit(Emitter& out);

 private:
  struct Drop {
    std::string reason;
    uint64_t count = 0;
    uint64_t told = 0;  // to Emitter::Dropped
  };
  void SetDrop(std::string_view reason, uint64_t count);
  void EmitRunTime(Emitter& out);

  const std::string probe_;
  const account* const accounts_;
  std::vector<std::pair<std::string, int>> programs_;  // name, descriptor
  std::vector<Drop> drops_;
  uint64_t delivered_ = 0;
  uint64_t pending_ = 0;
  uint64_t passes_ = 0;
  int stats_fd_ = -1;
};

}  // namespace faultline
