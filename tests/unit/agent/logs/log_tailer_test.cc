// What the tailer finds and how its lines come out.
#include "agent/logs/log_tailer.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>

#include "tests/support/log_tailer_fixture.h"

namespace faultline {
namespace {

namespace fs = std::filesystem;

TEST_F(LogTailerTest, ReadsPodLogsWithTheirLabels) {
  Append(kPod, Cri("one") + Cri("two", "stderr") + Cri("thr", "stdout", "P") + Cri("ee"));
  Start();
  Pass();
  const std::string labels =
      "container=nginx,filename=/var/log/pods/default_web-1_0a1b/nginx/0.log,"
      "job=default/nginx,namespace=default,pod=web-1,stream=";
  ASSERT_EQ(store_.streams.size(), 2u);
  ASSERT_TRUE(store_.streams.contains(labels + "stdout,"));
  EXPECT_EQ(store_.streams[labels + "stdout,"].size(), 2u);
  EXPECT_EQ(store_.streams[labels + "stdout,"][1].body, "three");
  EXPECT_EQ(store_.streams[labels + "stderr,"][0].body, "two");
  EXPECT_EQ(store_.samples["faultline_log_lines_total,namespace=default,pod=web-1,container=nginx"],
            3);
}

TEST_F(LogTailerTest, IsWokenByGrowthAndNewFiles) {
  fs::create_directories(Path("/var/log/pods"));
  Start();
  Pass();
  Append(kPod, Cri("one"));
  pollfd fd{.fd = *tailer_->wake_fd(), .events = POLLIN, .revents = 0};
  for (int i = 0; i < 20 && store_.Bodies().empty(); ++i) {
    ASSERT_EQ(poll(&fd, 1, 5000), 1);
    Pass();
  }
  EXPECT_EQ(store_.Bodies(), Bodies{"one"});
  Append(kPod, Cri("two"));
  ASSERT_EQ(poll(&fd, 1, 5000), 1);
  Pass();
  EXPECT_EQ(store_.Bodies(), (Bodies{"one", "two"}));
  // Idle again: nobody wakes us.
  for (int i = 0; i < 5 && poll(&fd, 1, 150) == 1; ++i) Pass();
  EXPECT_EQ(poll(&fd, 1, 150), 0);
}

TEST_F(LogTailerTest, WaitsForTheEndOfALine) {
  const std::string line = Cri("hello");
  Append(kPod, line.substr(0, 20));
  Start();
  Pass();
  Append(kPod, line.substr(20, 15));
  Pass();
  EXPECT_TRUE(store_.Bodies().empty());
  Append(kPod, line.substr(35));
  Pass();
  EXPECT_EQ(store_.Bodies(), Bodies{"hello"});
}

TEST_F(LogTailerTest, GoesOnWhereItWas) {
  config_.add_files("/srv/*.log");
  Append(kPod, Cri("1") + Cri("2"));
  Append("/srv/a.log", "a1\n");
  Start();
  Pass();
  tailer_.reset();
  Append(kPod, Cri("3"));
  Rename(kPod, std::string(kPod) + ".20261120-120000");
  Append(kPod, Cri("4"));
  Rename(kPod, std::string(kPod) + ".20261120-130000");
  Append(kPod, Cri("5"));
  Append("/srv/a.log", "a2\n");
  Rename("/srv/a.log", "/srv/a.log.1");
  Append("/srv/a.log", "a3\n");
  Append("/srv/old.log.1", "never asked for\n");
  Start();
  Drain();
  EXPECT_EQ(store_.Bodies(), (Bodies{"1", "2", "3", "4", "5", "a1", "a2", "a3"}));
  EXPECT_EQ(store_.duplicates, 0u);
}

TEST_F(LogTailerTest, KeepsUnfinishedRecordsForTheNextStart) {
  Append(kPod, Cri("a", "stdout", "P") + Cri("err", "stderr"));
  Start();
  Pass();
  EXPECT_EQ(store_.Bodies(), Bodies{"err"});
  Append(kPod, Cri("b"));
  Start();  // killed in between: the parser's memory is gone
  Pass();
  EXPECT_EQ(store_.Bodies(), (Bodies{"err", "ab"}));
  EXPECT_EQ(store_.duplicates, 0u);
}

TEST_F(LogTailerTest, LinksLeadToOneFileOnce) {
  Append(kPod, Cri("1"));
  fs::create_directories(Path("/var/log/containers"));
  fs::create_symlink(kPod, Path("/var/log/containers/web-1_default_nginx-0123.log"));
  Start();
  Drain();
  EXPECT_EQ(store_.Bodies(), Bodies{"1"});
  EXPECT_EQ(store_.dropped.size(), 0u);
}

TEST_F(LogTailerTest, FollowsLinksIntoDockersFolder) {
  Append("/var/lib/docker/containers/abc/abc-json.log",
         "{\"log\":\"hi\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-20T12:00:00Z\"}\n");
  fs::create_directories(fs::path(Path(kPod)).parent_path());
  fs::create_symlink("/var/lib/docker/containers/abc/abc-json.log", Path(kPod));
  Start();
  Drain();
  ASSERT_EQ(store_.Bodies(), Bodies{"hi"});
  EXPECT_NE(store_.streams.begin()->first.find("pod=web-1"), std::string::npos);
}

TEST_F(LogTailerTest, ReadsWhatTheConfigurationWants) {
  auto* exclude = config_.add_exclude();
  exclude->set_namespace_("kube-*");
  exclude->set_container("noisy");
  auto* format = config_.add_formats();
  format->mutable_select()->set_pod("java-*");
  format->set_parser("json");
  format->set_multiline("java");
  config_.add_redact()->set_pattern("secret-[0-9]+");
  Append("/var/log/pods/kube-system_a_1/noisy/0.log", Cri("excluded"));
  Append("/var/log/pods/kube-system_a_1/quiet/0.log", Cri("token secret-42"));
  const std::string java = "/var/log/pods/default_java-1_2/app/0.log";
  Append(java, Cri("failed") + Cri("\tat a.B") + Cri("other stream", "stderr") + Cri("\tat c.D"));
  Start();
  Drain();
  EXPECT_EQ(store_.Bodies(),
            (Bodies{"other stream", "failed\n\tat a.B\n\tat c.D", "token [redacted]"}));
  // The next one ends it; a start in between takes it up again.
  Append(java, Cri("{\"level\":\"error\"}") + Cri("\tat e.F"));
  Pass();
  Start();
  Drain();
  EXPECT_EQ(store_.Bodies().size(), 4u);
  EXPECT_EQ(store_.duplicates, 0u);
}

}  // namespace
}  // namespace faultline
