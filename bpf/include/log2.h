// Integer logarithm; BPF has no instruction for it.
#pragma once

#include "kernel.h"

static __always_inline __u32 log2_u64(__u64 v) {
  __u32 result = 0;
  if (v >> 32) {
    v >>= 32;
    result = 32;
  }
  __u32 x = v;
  __u32 shift = (x > 0xFFFF) << 4;
  x >>= shift;
  result |= shift;
  shift = (x > 0xFF) << 3;
  x >>= shift;
  result |= shift;
  shift = (x > 0xF) << 2;
  x >>= shift;
  result |= shift;
  shift = (x > 0x3) << 1;
  x >>= shift;
  result |= shift;
  return result | (x >> 1);
}
