// The programs for kernels without BTF of these tracepoints must stay loadable, though this kernel
// takes the others.
#include <gtest/gtest.h>

#include "agent/probes/bpf_program.h"
#include "bpf/include/account.h"
#include "bpf/oom.h"
#include "bpf/processes.h"
#include "bpf/requests.h"
#include "bpf/syscalls.h"
#include "oom.skel.h"
#include "processes.skel.h"
#include "requests.skel.h"
#include "syscalls.skel.h"

namespace faultline {
namespace {

template <typename Skeleton>
void ExpectLoads(const ProgramSet& programs) {
  LibbpfMessages messages;
  SkeletonPtr<Skeleton> skeleton(Skeleton::open());
  ASSERT_TRUE(skeleton);
  ASSERT_TRUE(ChoosePrograms(skeleton->obj, programs));
  const int refused = Skeleton::load(skeleton.get());
  if (refused == -EPERM) GTEST_SKIP() << "BPF is refused here: " << messages.FirstLine();
  EXPECT_EQ(refused, 0) << messages.FirstLine();
}

TEST(FallbackProgramsTest, Oom) { ExpectLoads<oom_bpf>({"oom_victim_tp"}); }
TEST(FallbackProgramsTest, Processes) {
  ExpectLoads<processes_bpf>({"process_exec_tp", "process_exit_tp"});
}
TEST(FallbackProgramsTest, Syscalls) {
  ExpectLoads<syscalls_bpf>({"syscall_enter_tp", "syscall_exit_tp"});
}

TEST(FallbackProgramsTest, ChosenSyscalls) {
  ExpectLoads<syscalls_bpf>({"syscall_enter_one", "syscall_exit_one"});
}
TEST(FallbackProgramsTest, Requests) { ExpectLoads<requests_bpf>({"request_exit"}); }

TEST(FallbackProgramsTest, WhatIsMissingIsSaid) {
  SkeletonPtr<oom_bpf> skeleton(oom_bpf::open());
  ASSERT_TRUE(skeleton);
  EXPECT_EQ(ChoosePrograms(skeleton->obj, {"nobody"}).error().code, ErrorCode::kInternal);
}

}  // namespace
}  // namespace faultline
