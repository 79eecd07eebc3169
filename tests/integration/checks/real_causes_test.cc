// Conditions that are caused for real on this machine, seen by the built-in checks, cured, and seen
// to be gone.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <thread>

#include "agent/checks/builtin/check.h"
#include "common/host_view.h"
#include "tests/support/chroot.h"
#include "tests/support/dead_mount.h"
#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

class RealCauses : public ::testing::Test {
 protected:
  Finding Look(const char* name, const std::map<std::string, std::string>& parameters = {}) {
    auto& check = checks_[name];
    if (check == nullptr) check = *MakeCheck(*FindCheck(name), parameters);
    return check->Evaluate(host_);
  }
  static bool IsTrouble(const Finding& finding) {
    return finding.verdict == v1::CHECK_VERDICT_DEGRADED ||
           finding.verdict == v1::CHECK_VERDICT_PROBLEM;
  }

  TempTree tree_;
  SystemClock clock_;
  HostView host_ = HostView::Real("/", &clock_);
  std::map<std::string, std::unique_ptr<Check>> checks_;
};

TEST_F(RealCauses, AZombieOfOurs) {
  const std::string mine = fmt::format("of {}", getpid());
  const pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t told{};
  waitid(P_PID, static_cast<id_t>(child), &told, WEXITED | WNOWAIT);
  const Finding seen = Look("zombies", {{"warn", "1"}, {"crit", "100000"}});
  EXPECT_TRUE(IsTrouble(seen)) << seen.message;
  const double before = seen.figures.at(0).value();
  waitpid(child, nullptr, 0);
  EXPECT_LT(Look("zombies").figures.at(0).value(), before + 1);
}

TEST_F(RealCauses, AMountThatHangsAndWhoHangsOnIt) {
  if (InChroot()) GTEST_SKIP() << "in a chroot, whose mounts have other names for the machine";
  DeadMount dead(tree_.root() + "/dead");
  if (!dead.mounted()) GTEST_SKIP() << "FUSE cannot be mounted here";
  const Finding seen = Look("mount_hang");
  EXPECT_EQ(seen.verdict, v1::CHECK_VERDICT_PROBLEM) << seen.message;
  EXPECT_THAT(seen.device, ::testing::HasSubstr(tree_.root() + "/dead"));
  const pid_t child = fork();
  if (child == 0) close_range(3, ~0U, 0);  // the mount's own descriptor too
  if (child == 0) _exit(access((tree_.root() + "/dead/x").c_str(), F_OK) == 0 ? 0 : 1);
  // Once its question is on its way, not even a kill gets it out.
  const auto state_of = [&] {
    const auto stat = host_.fs.Read(fmt::format("/proc/{}/stat", child));
    const size_t bracket = stat ? stat->rfind(')') : std::string::npos;
    return bracket == std::string::npos ? '?' : (*stat)[bracket + 2];
  };
  for (int round = 0; round < 100 && state_of() == 'R'; ++round) usleep(10'000);
  usleep(100'000);
  kill(child, SIGKILL);
  Finding hung;
  for (int round = 0; round < 50 && !IsTrouble(hung); ++round) {
    usleep(20'000);
    hung = Look("hung_tasks", {{"crit", "100000"}});
  }
  EXPECT_TRUE(IsTrouble(hung)) << hung.message;
  dead.Abort();
  waitpid(child, nullptr, 0);
  umount2((tree_.root() + "/dead").c_str(), MNT_DETACH);
  Finding cured = Look("mount_hang");
  for (int round = 0; round < 50 && cured.device.find(tree_.root()) != std::string::npos; ++round) {
    usleep(20'000);
    cured = Look("mount_hang");
  }
  EXPECT_THAT(cured.device, ::testing::Not(::testing::HasSubstr(tree_.root())));
}

TEST_F(RealCauses, AProcessNearItsLimitOfOpenFiles) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit low{400, limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  std::vector<int> files;
  for (int i = 0; i < 385; ++i) {
    const int fd = dup(0);
    if (fd >= 0) files.push_back(fd);
  }
  // The check's own files must still open.
  for (int i = 0; i < 5 && !files.empty(); ++i) {
    close(files.back());
    files.pop_back();
  }
  const Finding seen = Look("fd_processes", {{"warn", "90"}, {"crit", "99"}});
  const bool told = seen.message.find(fmt::format("({})", getpid())) != std::string::npos;
  for (const int fd : files) close(fd);
  setrlimit(RLIMIT_NOFILE, &limit);
  struct stat folder{};
  stat("/proc/self/fd", &folder);
  if (folder.st_size == 0) GTEST_SKIP() << "this kernel does not count open files in /proc";
  EXPECT_TRUE(told) << seen.message;
  EXPECT_THAT(Look("fd_processes").message,
              ::testing::Not(::testing::HasSubstr(fmt::format("({})", getpid()))));
}

TEST_F(RealCauses, ARuntimeThatTakesNoConnectionsAndAServerThatIsGone) {
  const std::string path = tree_.root() + "/runtime.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  const int unix_socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(unix_socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::map<std::string, std::string> sockets = {{"sockets", path}};
  EXPECT_EQ(Look("container_runtime", sockets).verdict,
            v1::CHECK_VERDICT_PROBLEM);  // nobody listens
  ASSERT_EQ(listen(unix_socket, 5), 0);
  EXPECT_EQ(Look("container_runtime").verdict, v1::CHECK_VERDICT_OK);
  close(unix_socket);

  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(server, reinterpret_cast<sockaddr*>(&local), sizeof(local)), 0);
  ASSERT_EQ(listen(server, 5), 0);
  socklen_t size = sizeof(local);
  getsockname(server, reinterpret_cast<sockaddr*>(&local), &size);
  const std::string peer = fmt::format("127.0.0.1:{}", ntohs(local.sin_port));
  EXPECT_NE(Look("node_latency", {{"peers", peer}, {"warn", "1000"}, {"crit", "1500"}}).verdict,
            v1::CHECK_VERDICT_PROBLEM);
  close(server);
  const Finding gone = Look("node_latency");
  EXPECT_EQ(gone.verdict, v1::CHECK_VERDICT_PROBLEM);
  EXPECT_EQ(gone.device, "127.0.0.1");
}

TEST_F(RealCauses, ACertificateThatEnds) {
  const std::string key = tree_.root() + "/key.pem";
  const std::string file = tree_.root() + "/cert.pem";
  const auto make = [&](const char* days) {
    const pid_t child = fork();
    if (child == 0) {
      const int null = open("/dev/null", O_RDWR);
      dup2(null, 1);
      dup2(null, 2);
      execlp("openssl", "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
             "/CN=x", "-days", days, "-keyout", key.c_str(), "-out", file.c_str(), nullptr);
      _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  };
  if (!make("3")) GTEST_SKIP() << "openssl is not installed";
  const Finding seen = Look("certificates", {{"files", tree_.root() + "/cert*.pem"}});
  EXPECT_EQ(seen.verdict, v1::CHECK_VERDICT_PROBLEM) << seen.message;
  ASSERT_TRUE(make("300"));
  EXPECT_EQ(Look("certificates").verdict, v1::CHECK_VERDICT_OK);
}

}  // namespace
}  // namespace faultline
