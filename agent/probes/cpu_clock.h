// A clock event on every CPU, on which a BPF program runs; those who idle have no ticks.
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <vector>

#include "common/result.h"

namespace faultline {

class CpuClock {
 public:
  explicit CpuClock(const bpf_program* program) : program_(program) {}
  ~CpuClock() { Stop(); }
  CpuClock(const CpuClock&) = delete;
  CpuClock& operator=(const CpuClock&) = delete;

  Result<void> Start(uint32_t frequency_hz);
  // Afterwards the program runs nowhere any more.
  void Stop();
  bool runs() const { return !links_.empty(); }

 private:
  const bpf_program* const program_;
  std::vector<bpf_link*> links_;
};

}  // namespace faultline
