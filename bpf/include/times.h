// A histogram of durations as the programs keep it: bucket b holds those below 2^(12 + 2 b) ns
// (4.1 us, 16 us … 1.07 s), the last one all longer ones.
#pragma once

#ifndef __bpf__
#include <linux/types.h>
#endif

#define TIME_BUCKETS 11
#define TIME_FIRST_BUCKET_LOG2 12

struct time_sums {
  __u64 sum_ns;
  __u64 buckets[TIME_BUCKETS];
};

#ifdef __bpf__
#include "log2.h"

static __always_inline __u32 time_bucket(__u64 took_ns) {
  if (!(took_ns >> TIME_FIRST_BUCKET_LOG2)) return 0;
  __u32 bucket = (log2_u64(took_ns) - TIME_FIRST_BUCKET_LOG2) / 2 + 1;
  return bucket >= TIME_BUCKETS ? TIME_BUCKETS - 1 : bucket;
}

static __always_inline void add_time(struct time_sums* sums, __u64 took_ns) {
  sums->sum_ns += took_ns;
  sums->buckets[time_bucket(took_ns)]++;
}
#endif
