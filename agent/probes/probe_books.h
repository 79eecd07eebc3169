// What a probe made, delivered and dropped, and what its programs and maps cost.
#pragma once

#include <bpf/libbpf.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/include/account.h"
#include "common/emitter.h"
#include "common/result.h"

namespace faultline {

// The books of one probe, as metrics: produced = delivered + pending + all drops; run time of its
// programs, while somebody has asked the kernel to time them (probe_budget); bytes of its maps. All
// books of the process are in one ledger, where the budget finds the most expensive.
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
  // Bytes that waited in a ring when it was read; the most of a pass is told.
  void RingHeld(uint64_t bytes) { ring_held_ = std::max(ring_held_, bytes); }
  account Sum() const;
  void Emit(Emitter& out);

  // How to take the programs out of the kernel's way, and to put them back. Without it, the probe
  // cannot be shed.
  using Detach = std::function<void()>;
  using Attach = std::function<Result<void>()>;
  void Sheddable(Detach detach, Attach attach);
  bool sheddable() const { return detach_ != nullptr; }
  void Shed(std::string reason);
  Result<void> Restore();
  // Takes the programs away without shedding the probe: what they made by then is all that comes.
  void Rest() {
    if (detach_) detach_();
  }
  // kUnavailable with the reason while shed: what a probe's pass asks first.
  Result<void> InService() const;

  const std::string& probe() const { return probe_; }
  // Of all programs, since they were loaded: grows only while the kernel times them.
  uint64_t RunTimeNs() const;
  // All books of this process; used on the agent's thread only.
  static const std::vector<ProbeBooks*>& Ledger();

 private:
  struct Drop {
    std::string reason;
    uint64_t count = 0;
    uint64_t told = 0;  // to Emitter::Dropped
  };
  struct Map {
    std::string name;
    int fd = -1;
    uint64_t bytes = 0;
  };
  void SetDrop(std::string_view reason, uint64_t count);
  void EmitCost(Emitter& out);

  const std::string probe_;
  const account* const accounts_;
  std::vector<std::pair<std::string, int>> programs_;  // name, descriptor
  std::vector<Map> maps_;
  std::vector<Drop> drops_;
  Detach detach_;
  Attach attach_;
  std::string shed_reason_;
  uint64_t delivered_ = 0;
  uint64_t pending_ = 0;
  uint64_t ring_held_ = 0;
  uint64_t passes_ = 0;
};

// `Skeleton` must outlive the books.
template <typename Skeleton>
void MakeSheddable(ProbeBooks& books, Skeleton& skeleton) {
  books.Sheddable([&skeleton] { Skeleton::detach(&skeleton); },
                  [&skeleton]() -> Result<void> {
                    const int refused = Skeleton::attach(&skeleton);
                    if (refused == 0) return {};
                    return FailErrno(-refused, "attach the programs of a probe again");
                  });
}

}  // namespace faultline
