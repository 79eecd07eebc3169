// Network faults between namespaces of the test's own, measured by programs that know nothing of
// them: ping, and a TCP transfer. The figures are printed.
#include <gtest/gtest.h>

#include "agent/faults/fault_recovery.h"
#include "agent/faults/fault_service.h"
#include "agent/faults/network_asked.h"
#include "agent/faults/network_namespace.h"
#include "agent/faults/network_probe.h"
#include "common/text.h"
#include "tests/support/fault_engine_run.h"
#include "tests/support/fault_probes.h"
#include "tests/support/fault_stage.h"
#include "tests/support/paths.h"

namespace faultline {
namespace {

class NetworkFaults : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: makes network namespaces";
    stage.emplace(view);
    if (!stage->networked()) GTEST_SKIP() << "network namespaces cannot be connected here";
    if (ProgramOutput({"ping", "-V"}).empty()) GTEST_SKIP() << "needs ping (iputils-ping)";
    host.host = &view;
    host.mounts = stage->victim().mounts();
    host.worker_program = BinaryDir() + "/bin/faultline-guardian";
    host.journal_folder = stage->folder() + "/../journal";
    (void)Ping(2, 0.01);  // neighbours know each other from here on
  }
  void TearDown() override {
    for (const FaultPlan& plan : in_force) (void)RecoverPlan(plan);
  }

  Pinged Ping(int pings, double interval_s) { return PingPeer(*stage, pings, interval_s); }
  Result<FaultPlan> Start(const std::string& fault, const std::string& parameters) {
    const FaultRow* row = FindFault(FaultCatalogue(), fault);
    FaultSpec spec;
    spec.uid = fmt::format("net-{}-{}", getpid(), ++count);
    spec.fault = fault;
    spec.target.set_cgroup(stage->victim().path());
    spec.duration_ms = 60'000;
    FAULTLINE_ASSIGN(spec.parameters,
                     AcceptParameters(row->parameters, stage->Parameters(parameters), fault));
    const auto made = row->make();
    FAULTLINE_ASSIGN(FaultPlan plan, made->Plan(spec, host));
    FAULTLINE_ASSIGN(const v1::Effect before, made->Verify(plan, host));
    for (const auto& measurement : before.measurements())
      plan.before[measurement.name()] = measurement.during();
    in_force.push_back(plan);
    FAULTLINE_TRY(made->Inject(plan, host));
    return plan;
  }
  v1::Effect Look(const FaultPlan& plan) {
    const auto effect = MakeFault(FaultCatalogue(), plan.spec.fault)->Verify(plan, host);
    return effect.value_or(v1::Effect());
  }
  Result<void> RecoverPlan(const FaultPlan& plan) {
    return MakeFault(FaultCatalogue(), plan.spec.fault)->Recover(plan, host);
  }
  std::string Qdiscs() {
    return ProgramOutput({"nsenter", fmt::format("--net=/proc/{}/ns/net", stage->victim().pid()),
                          "tc", "qdisc", "show"}) +
           ProgramOutput({"nsenter", fmt::format("--net=/proc/{}/ns/net", stage->victim().pid()),
                          "ip", "-o", "link"});
  }
  SystemClock clock;
  HostView view = HostView::Real("/", &clock);
  FaultHost host;
  std::optional<FaultStage> stage;
  std::vector<FaultPlan> in_force;
  int count = 0;
};

TEST_F(NetworkFaults, DelayIsWhatWasAskedInEitherDirectionAndBoth) {
  const std::string before = Qdiscs();
  for (const auto& [direction, asked_ms] :
       {std::pair{"to", 100.0}, std::pair{"from", 100.0}, std::pair{"both", 200.0}}) {
    const auto plan =
        Start("network_delay", fmt::format("latency=100ms direction={} device=eth0", direction));
    ASSERT_TRUE(plan) << plan.error().message;
    const Pinged pinged = Ping(10, 0.05);
    std::printf("  %s: %.1f ms of %.0f asked (n=%.0f)\n", direction, pinged.median_ms, asked_ms,
                pinged.received);
    EXPECT_NEAR(pinged.median_ms, asked_ms, 0.1 * asked_ms);
    EXPECT_EQ(pinged.Lost(), 0);
    EXPECT_EQ(Look(*plan).verdict(), v1::VERDICT_TRUE) << Look(*plan).ShortDebugString();
    ASSERT_TRUE(RecoverPlan(*plan));
    EXPECT_LT(Ping(5, 0.02).median_ms, 20);
  }
  EXPECT_EQ(Qdiscs(), before);
}

// A share of a half strays by 5 points once in 100,000 runs of 2,000 decisions; with a correlation
// of 25 % once in 50,000 runs of 3,000.
TEST_F(NetworkFaults, SharesAreWhatWasAsked) {
  for (const char* correlation : {"25"}) {
    const auto loss =
        Start("network_loss", fmt::format("loss=50 correlation={} device=eth0", correlation));
    ASSERT_TRUE(loss) << loss.error().message;
    const Pinged lost = Ping(3000, 0.001);
    std::printf("  loss: %.1f %% of 50 asked, correlation %s (n=%.0f)\n", lost.Lost(), correlation,
                lost.sent);
    EXPECT_NEAR(lost.Lost(), 50, 5);
    EXPECT_EQ(Look(*loss).verdict(), v1::VERDICT_TRUE) << Look(*loss).ShortDebugString();
    ASSERT_TRUE(RecoverPlan(*loss));
  }
  const auto corrupt = Start("network_corrupt", "corrupt=50 device=eth0");
  ASSERT_TRUE(corrupt) << corrupt.error().message;
  const Pinged damaged = Ping(2000, 0.001);
  std::printf("  corrupt: %.1f %% of 50 asked (n=%.0f)\n", damaged.Lost(), damaged.sent);
  EXPECT_NEAR(damaged.Lost(), 50, 5);
  ASSERT_TRUE(RecoverPlan(*corrupt));
  const auto twice = Start("network_duplicate", "duplicate=50 device=eth0");
  ASSERT_TRUE(twice) << twice.error().message;
  const Pinged doubled = Ping(2000, 0.001);
  std::printf("  duplicate: %.1f %% of 50 asked (n=%.0f)\n",
              100 * doubled.duplicates / doubled.received, doubled.received);
  EXPECT_NEAR(100 * doubled.duplicates / doubled.received, 50, 5);
  ASSERT_TRUE(RecoverPlan(*twice));
  EXPECT_EQ(Ping(200, 0.001).Lost(), 0);
}

TEST_F(NetworkFaults, RateIsWhatWasAsked) {
  for (const char* fault : {"network_bandwidth", "network_rate"}) {
    const auto plan = Start(fault, "rate=8mbit device=eth0");
    ASSERT_TRUE(plan) << plan.error().message;
    // Of 1514 bytes on the wire 1448 are the transfer's.
    const double wire = EchoBytesPerS(*stage, 1'500'000) * 1514 / 1448;
    std::printf("  %s: %.0f bytes/s of 1000000 asked\n", fault, wire);
    EXPECT_NEAR(wire, 1e6, 1e5);
    ASSERT_TRUE(RecoverPlan(*plan));
  }
}

TEST_F(NetworkFaults, PartitionsCutAndFiltersChoose) {
  const auto other = Start("network_partition", "direction=both externalTargets=10.99.0.77");
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ(Ping(5, 0.01).Lost(), 0) << "somebody else is meant";
  EXPECT_NE(Look(*other).verdict(), v1::VERDICT_TRUE);
  for (const char* direction : {"to", "from", "both"}) {
    const auto plan = Start("network_partition",
                            fmt::format("direction={} externalTargets=10.99.0.0/24", direction));
    ASSERT_TRUE(plan) << plan.error().message;
    EXPECT_EQ(Ping(3, 0.01).Lost(), 100);
    EXPECT_EQ(Look(*plan).verdict(), v1::VERDICT_TRUE) << Look(*plan).ShortDebugString();
    ASSERT_TRUE(RecoverPlan(*plan));
    EXPECT_EQ(Ping(3, 0.01).Lost(), 0);
  }
}

// What the engine names as its own transport goes on, both ways.
TEST_F(NetworkFaults, ProtectedPortsGoOn) {
  const auto fault = MakeFault(FaultCatalogue(), "network_partition");
  FaultSpec spec;
  spec.uid = fmt::format("net-protected-{}", getpid());
  spec.fault = "network_partition";
  spec.target.set_cgroup(stage->victim().path());
  spec.duration_ms = 60'000;
  spec.parameters = *AcceptParameters(FindFault(FaultCatalogue(), spec.fault)->parameters,
                                      {{"direction", "both"}}, spec.fault);
  auto plan = fault->Plan(spec, host);
  ASSERT_TRUE(plan) << plan.error().message;
  plan->state["exempt_ports"] = std::to_string(FaultStage::kPort);
  in_force.push_back(*plan);
  ASSERT_TRUE(fault->Inject(*plan, host));
  EXPECT_EQ(Ping(3, 0.01).Lost(), 100);
  EXPECT_GT(EchoBytesPerS(*stage, 1'000'000), 1e5);
}

TEST_F(NetworkFaults, FilterThatNoPacketMeetsIsNoSuccess) {
  for (const char* parameters : {"latency=50ms egress-port=4444 ip-protocol=tcp",
                                 "latency=50ms ip-protocol=udp", "latency=50ms source-port=9999"}) {
    const auto plan = Start("network_delay", parameters);
    ASSERT_TRUE(plan) << plan.error().message;
    EXPECT_EQ(Look(*plan).verdict(), v1::VERDICT_FALSE) << Look(*plan).ShortDebugString();
    ASSERT_TRUE(RecoverPlan(*plan));
  }
}

// Delays add up, losses multiply, and each goes without the others, in whatever order.
TEST_F(NetworkFaults, ComposedFaultsDoNotCancelEachOther) {
  const std::string before = Qdiscs();
  for (const int leaves_first : {0, 1, 2}) {
    const auto one = Start("network_delay", "latency=40ms device=eth0");
    const auto two = Start("network_delay", "latency=60ms device=eth0");
    const auto loss = Start("network_loss", "loss=30 device=eth0");
    ASSERT_TRUE(one && two && loss);
    const Pinged all = Ping(150, 0.01);
    EXPECT_NEAR(all.median_ms, 100, 12);
    EXPECT_NEAR(all.Lost(), 30, 15);
    const FaultPlan* plans[] = {&*one, &*two, &*loss};
    const double left_ms[] = {60, 40, 100};
    ASSERT_TRUE(RecoverPlan(*plans[leaves_first]));
    const Pinged rest = Ping(100, 0.01);
    EXPECT_NEAR(rest.median_ms, left_ms[leaves_first], 10) << leaves_first;
    if (leaves_first == 2) {
      EXPECT_EQ(rest.Lost(), 0);
    } else {
      EXPECT_NEAR(rest.Lost(), 30, 18);
    }
    for (int i = 2; i >= 0; --i) ASSERT_TRUE(RecoverPlan(*plans[i]));
    EXPECT_EQ(Ping(20, 0.01).Lost(), 0);
    EXPECT_EQ(Qdiscs(), before);
  }
}

// The detour's feeder dies: packets go straight on, before anybody recovers.
TEST_F(NetworkFaults, FailsOpenWhenItsServiceDies) {
  const auto plan = Start("network_delay", "latency=300ms device=eth0");
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_GT(Ping(2, 0.01).median_ms, 290);
  for (const LiveProcess& service : FindFaultServices(view, plan->spec.uid))
    kill(static_cast<pid_t>(service.pid), SIGKILL);
  EXPECT_TRUE(Eventually(2000, [&] {
    const Pinged pinged = Ping(1, 0.01);
    return pinged.received == 1 && pinged.median_ms < 50;
  }));
  ASSERT_TRUE(RecoverPlan(*plan));
}

TEST_F(NetworkFaults, NamesAreAnsweredAsAsked) {
  const auto ask = [&](const std::string& name) {
    std::optional<DnsReply> reply;
    (void)InNetworkNamespace(fmt::format("/proc/{}/ns/net", stage->victim().pid()),
                             [&]() -> Result<void> {
                               reply = AskResolver(*ParseRemote(FaultStage::kPeer), name, 1, 500);
                               return {};
                             });
    return reply;
  };
  EXPECT_FALSE(ask("www.example.com")) << "nobody answers there";
  const auto error = Start("dns_error", "patterns=*.example.com rcode=NXDOMAIN");
  ASSERT_TRUE(error) << error.error().message;
  ASSERT_TRUE(ask("www.example.com"));
  EXPECT_EQ(ask("WWW.Example.com")->rcode, 3);
  EXPECT_FALSE(ask("www.example.org")) << "not meant";
  ASSERT_TRUE(RecoverPlan(*error));
  const auto answer = Start("dns_answer", "patterns=github.?om addresses=192.0.2.7,192.0.2.8");
  ASSERT_TRUE(answer) << answer.error().message;
  const auto reply = ask("github.com");
  ASSERT_TRUE(reply);
  ASSERT_EQ(reply->addresses.size(), 2u);
  EXPECT_EQ(FormatRemote(reply->addresses[0]), "192.0.2.7");
  ASSERT_TRUE(RecoverPlan(*answer));
  const auto random = Start("dns_random", "");
  ASSERT_TRUE(random) << random.error().message;
  EXPECT_NE(ask("a.example.com")->addresses, ask("a.example.com")->addresses);
  ASSERT_TRUE(RecoverPlan(*random));
  EXPECT_FALSE(ask("www.example.com"));
}

// A server of the peer's that answers each question with NOTIMP, on one connection after the other.
TEST_F(NetworkFaults, NamesAreAnsweredAsAskedOverTcp) {
  struct Nothing {};
  const SharedChild<Nothing> server(
      view, nullptr, [file = NetworkFileOf(stage->peer_pid())](Nothing&) {
        static const int listener = [&] {
          const int network = open(file.c_str(), O_RDONLY | O_CLOEXEC);
          if (setns(network, CLONE_NEWNET) != 0) _exit(1);
          const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
          sockaddr_in address{};
          address.sin_family = AF_INET;
          address.sin_port = htons(53);
          if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) _exit(1);
          listen(fd, 16);
          signal(SIGPIPE, SIG_IGN);
          return fd;
        }();
        const int client = accept(listener, nullptr, nullptr);
        char buffer[512];
        for (ssize_t n = 0; (n = recv(client, buffer, sizeof buffer, 0)) > 14;) {
          buffer[4] |= static_cast<char>(0x80);
          buffer[5] = 4;
          if (send(client, buffer, static_cast<size_t>(n), 0) < 0) break;
        }
        close(client);
      });
  // Two questions on one connection; nothing where it is cut.
  const auto ask = [&](const std::vector<std::string>& names) {
    std::vector<std::optional<DnsReply>> replies;
    (void)InNetworkNamespace(NetworkFileOf(stage->victim().pid()), [&]() -> Result<void> {
      const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(53);
      inet_pton(AF_INET, FaultStage::kPeer, &address.sin_addr);
      const timeval patience{2, 0};
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      const bool connected =
          connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
      for (const std::string& name : names) {
        const std::string query = MakeDnsQuery(name, 1, 77);
        const std::string text = std::string(1, '\0') + static_cast<char>(query.size()) + query;
        char buffer[512];
        ssize_t n = -1;
        if (connected && send(fd, text.data(), text.size(), MSG_NOSIGNAL) > 0)
          n = recv(fd, buffer, sizeof buffer, 0);
        replies.push_back(n > 2 ? ReadDnsReply({buffer + 2, static_cast<size_t>(n) - 2}, 77)
                                : std::nullopt);
      }
      close(fd);
      return {};
    });
    return replies;
  };
  ASSERT_TRUE(Eventually(5000, [&] { return ask({"a.example.com"})[0].has_value(); }));
  EXPECT_EQ(ask({"a.example.com"})[0]->rcode, 4);
  const auto error = Start("dns_error", "patterns=*.example.com rcode=NXDOMAIN");
  ASSERT_TRUE(error) << error.error().message;
  auto replies = ask({"a.example.com", "b.example.com"});
  ASSERT_TRUE(replies[0] && replies[1]);
  EXPECT_EQ(replies[0]->rcode, 3);
  EXPECT_EQ(replies[1]->rcode, 3);
  replies = ask({"www.example.org"});
  ASSERT_TRUE(replies[0]) << "its own server answers";
  EXPECT_EQ(replies[0]->rcode, 4);
  replies = ask({"www.example.org", "a.example.com", "www.example.org"});
  ASSERT_TRUE(replies[0] && replies[1]);
  EXPECT_EQ(replies[0]->rcode, 4);
  EXPECT_EQ(replies[1]->rcode, 3);
  EXPECT_FALSE(replies[2]) << "the connection is ours now";
  ASSERT_TRUE(RecoverPlan(*error));
  const auto answer = Start("dns_answer", "patterns=*.example.com addresses=192.0.2.7");
  ASSERT_TRUE(answer) << answer.error().message;
  replies = ask({"a.example.com"});
  ASSERT_TRUE(replies[0] && replies[0]->addresses.size() == 1);
  EXPECT_EQ(FormatRemote(replies[0]->addresses[0]), "192.0.2.7");
  ASSERT_TRUE(RecoverPlan(*answer));
  EXPECT_EQ(ask({"a.example.com"})[0]->rcode, 4);
}

// Nobody is left to recover: the classifier knows when its time is over.
TEST_F(NetworkFaults, ItEndsInTheKernelWhenAllHaveDied) {
  const auto fault = MakeFault(FaultCatalogue(), "network_loss");
  FaultSpec spec;
  spec.uid = fmt::format("net-orphan-{}", getpid());
  spec.fault = "network_loss";
  spec.target.set_cgroup(stage->victim().path());
  spec.duration_ms = 1000;
  spec.parameters = *AcceptParameters(FindFault(FaultCatalogue(), spec.fault)->parameters,
                                      {{"loss", "100"}}, spec.fault);
  const auto plan = fault->Plan(spec, host);
  ASSERT_TRUE(plan) << plan.error().message;
  in_force.push_back(*plan);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(fault->Inject(*plan, host));
  EXPECT_EQ(Ping(2, 0.01).received, 0);
  EXPECT_TRUE(Eventually(8000, [&] { return Ping(1, 0.01).received == 1; }));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_GT(took.count(), 1.0) << "not before its time";
}

TEST_F(NetworkFaults, GuardianUndoesItWhenTheAgentIsKilled) {
  const std::string before = Qdiscs();
  TempTree state;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t agent = fork();
  if (agent == 0) {
    FaultEngineOptions options;
    options.state_dir = state.root();
    options.guardian_program = BinaryDir() + "/bin/faultline-guardian";
    FaultEngineRun run(options, view, stage->victim().mounts());
    v1::Subject target;
    target.set_cgroup(stage->victim().path());
    if (!run.engine().Start()) _exit(3);
    const auto reply =
        run.Inject("killed", "network_delay", target, 60'000, {{"latency", "100ms"}});
    if (!reply.error_code().empty() || write(ready[1], "r", 1) != 1) _exit(4);
    while (true) pause();
  }
  close(ready[1]);
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  EXPECT_GT(Ping(2, 0.01).median_ms, 90);
  const auto begin = std::chrono::steady_clock::now();
  kill(agent, SIGKILL);
  waitpid(agent, nullptr, 0);
  EXPECT_TRUE(Eventually(3000, [&] { return Qdiscs() == before; }));
  std::printf(
      "  undone %.0f ms after SIGKILL\n",
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  EXPECT_LT(Ping(3, 0.01).median_ms, 50);
}

}  // namespace
}  // namespace faultline
