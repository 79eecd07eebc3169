#include "agent/probes/syscall_series.h"

#include <gtest/gtest.h>

#include "agent/probes/syscall_names.h"
#include "tests/support/recording_emitter.h"

namespace faultline {
namespace {

SyscallTimes Calls(uint64_t count, size_t bucket = 0) {
  SyscallTimes times;
  times.calls = count;
  times.sum_ns = count * 1000;
  times.buckets[bucket] = count;
  return times;
}

double Count(const RecordingEmitter& out, const std::string& syscall) {
  return out.Value("container_syscall_duration_seconds_count{syscall=\"" + syscall + "\"}")
      .value_or(-1);
}

TEST(SyscallNamesTest, KnowsNamesOfCallsAndErrors) {
  EXPECT_EQ(SyscallName(0), "read");
  EXPECT_EQ(SyscallName(99999), "syscall_99999");
  EXPECT_EQ(ErrnoName(2), "ENOENT");
  EXPECT_EQ(ErrnoName(512), "ERESTARTSYS");
  EXPECT_EQ(ErrnoName(4000), "errno_4000");
}

TEST(SyscallSeriesTest, BucketsAreCumulative) {
  SyscallSeries series;
  series.BeginPass();
  series.AddCalls("/a", 0, Calls(3));
  series.AddCalls("/a", 0, Calls(2, 1));
  series.AddCalls("/a", 0, Calls(1, TIME_BUCKETS - 1));
  RecordingEmitter out;
  series.Emit(false, out);
  EXPECT_EQ(out.complaints, std::vector<std::string>());
  const auto bucket = [&](const std::string& le) {
    return out.Value("container_syscall_duration_seconds_bucket{le=\"" + le +
                     "\",syscall=\"read\"}");
  };
  EXPECT_EQ(bucket("4.096e-06"), 3);
  EXPECT_EQ(bucket("1.6384e-05"), 5);
  EXPECT_EQ(bucket("+Inf"), 6);
  EXPECT_EQ(Count(out, "read"), 6);
  EXPECT_EQ(out.samples.front().origin.cgroup_path, "/a");
}

TEST(SyscallSeriesTest, WhatHasNoPlaceIsFoldedAndNothingIsLost) {
  SyscallSeries series;
  series.BeginPass();
  for (uint32_t number = 0; number < 40; ++number) {
    series.AddCalls("/", number, Calls(10));
    series.AddErrors("/", number, 2, 1);
  }
  RecordingEmitter out;
  series.Emit(false, out);
  double calls = 0, errors = 0;
  size_t histograms = 0;
  for (const auto& sample : out.samples) {
    EXPECT_EQ(sample.labels.at("id"), "/");
    if (sample.name == "container_syscall_duration_seconds_count") {
      calls += sample.value;
      ++histograms;
    }
    if (sample.name == "container_syscall_errors_total") errors += sample.value;
  }
  EXPECT_EQ(histograms, SyscallSeries::kMaxSyscalls + 1);
  EXPECT_EQ(calls, 400);
  EXPECT_EQ(errors, 40);
}

TEST(SyscallSeriesTest, AnIdleNameLosesItsPlaceAndComesBackWhereItWas) {
  SyscallSeries series;
  series.BeginPass();
  series.AddCalls("/a", 0, Calls(5));
  for (uint32_t number = 1; number < SyscallSeries::kMaxSyscalls; ++number)
    series.AddCalls("/a", number, Calls(1));
  for (uint64_t pass = 0; pass < SyscallSeries::kIdlePasses; ++pass) {
    series.BeginPass();
    for (uint32_t number = 1; number <= SyscallSeries::kMaxSyscalls; ++number) {
      series.AddCalls("/a", number, Calls(1));
    }
  }
  RecordingEmitter out;
  series.Emit(false, out);
  EXPECT_EQ(Count(out, "read"), -1);
  EXPECT_EQ(Count(out, "other"), static_cast<double>(SyscallSeries::kIdlePasses) - 1);
  EXPECT_EQ(Count(out, SyscallName(SyscallSeries::kMaxSyscalls)), 1);
  series.Forget("/a");
  out.Clear();
  series.Emit(false, out);
  EXPECT_TRUE(out.samples.empty());
}

}  // namespace
}  // namespace faultline
