#include <spawn.h>

#include "tests/support/own_cgroup.h"
#include "tests/support/probe_pass.h"

namespace faultline {
namespace {

// `count` children that run `program` one after the other.
int RunChildren(int count, const char* program) {
  for (int i = 0; i < count; ++i) {
    pid_t child = 0;
    char* const arguments[] = {const_cast<char*>(program), nullptr};
    char* const environment[] = {nullptr};
    if (posix_spawn(&child, program, nullptr, nullptr, arguments, environment) != 0) return 127;
    waitpid(child, nullptr, 0);
  }
  return 3;
}

class ProcessesProbeTest : public ProbePass {
 protected:
  size_t Events(const std::string& path, const std::string& type) const {
    size_t count = 0;
    for (const auto& [event, origin] : out.events)
      count += origin.cgroup_path == path && event.type() == type;
    return count;
  }
};

TEST_F(ProcessesProbeTest, ExecsAndExitsAreCountedExactly) {
  if (!Make("processes")) return;
  OwnCgroup cgroup(index_->mounts(), "few", {"memory"});
  ASSERT_TRUE(cgroup.ok());
  EXPECT_EQ(WEXITSTATUS(cgroup.Run([] { return RunChildren(10, "/bin/true"); })), 3);
  const int status = cgroup.Run([] { return kill(getpid(), SIGSEGV); });
  EXPECT_TRUE(WIFSIGNALED(status));
  Collect();
  EXPECT_EQ(Value(cgroup.path(), "container_process_execs_total"), 10);
  EXPECT_EQ(Value(cgroup.path(), "container_process_exits_total"), 12);
  EXPECT_EQ(Value(cgroup.path(), "container_process_killed_total"), 1);
  if (out.dropped.empty()) {  // else the rest of the machine used the second's events up
    EXPECT_EQ(Events(cgroup.path(), "exec"), 10u);
    EXPECT_EQ(Events(cgroup.path(), "exit"), 12u);
    bool code = false, signal = false, file = false;
    for (const auto& [event, origin] : out.events) {
      if (origin.cgroup_path != cgroup.path()) continue;
      for (const auto& attribute : event.attributes()) {
        code |= attribute.name() == "exit_code" && attribute.value() == "3";
        signal |= attribute.name() == "signal" && attribute.value() == "11";
        file |= attribute.name() == "file" && attribute.value() == "/bin/true";
      }
    }
    EXPECT_TRUE(code && signal && file);
  }
  ExpectBooksBalance("processes");
}

TEST_F(ProcessesProbeTest, AStormIsCountedThoughItsEventsAreNotAllTold) {
  if (!Make("processes")) return;
  OwnCgroup cgroup(index_->mounts(), "many", {"memory"});
  ASSERT_TRUE(cgroup.ok());
  constexpr int kChildren = 1000;  // more records than the ring holds
  cgroup.Run([] { return RunChildren(kChildren, "/bin/true"); });
  Collect();
  EXPECT_EQ(Value(cgroup.path(), "container_process_execs_total"), kChildren);
  EXPECT_EQ(Value(cgroup.path(), "container_process_exits_total"), kChildren + 1);
  EXPECT_LE(out.events.size(), 100u);
  EXPECT_GT(out.dropped["rate_limited"] + out.dropped["ring_full"], 0u);
  ExpectBooksBalance("processes");
}

}  // namespace
}  // namespace faultline
