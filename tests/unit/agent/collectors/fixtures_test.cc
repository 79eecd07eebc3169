// Every collector against the fixture hosts: tests/fixtures/host-*/expected/<collector>.txt is what
// a pass must say. The same folders are compared with node_exporter in
// tests/e2e/node_exporter_parity_test.py.
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/support/collector_pass.h"

namespace faultline {
namespace {

// What these read is not in files, or has tests of its own.
const std::set<std::string_view> kElsewhere = {"filesystem", "processes", "self", "textfile",
                                               "time",       "timex",     "uname"};

// What each host has something to say of.
const std::map<std::string, std::vector<std::string>> kHosts = {
    {"host-hardware",
     {"bcache",
      "bonding",
      "btrfs",
      "cpufreq",
      "dmi",
      "edac",
      "fibrechannel",
      "hwmon",
      "infiniband",
      "ipvs",
      "loadavg",
      "mdadm",
      "netclass",
      "nfs",
      "nfsd",
      "nvme",
      "powersupplyclass",
      "rapl",
      "schedstat",
      "selinux",
      "tapestats",
      "thermal_zone",
      "xfs",
      "zfs"}},
    {"host-small",
     {"arp", "conntrack", "cpu", "diskstats", "entropy", "filefd", "loadavg", "meminfo", "netclass",
      "netdev", "netstat", "os", "pressure", "selinux", "sockstat", "softnet", "stat", "udp_queues",
      "vmstat"}},
};

std::string ExpectedText(const std::string& host, const std::string& collector) {
  std::ostringstream text;
  text << std::ifstream(CollectorPass::Fixture(host) + "/expected/" + collector + ".txt").rdbuf();
  return text.str();
}

TEST(Fixtures, PassesSayWhatIsExpected) {
  for (const auto& [host, collectors] : kHosts) {
    for (const std::string& collector : collectors) {
      SCOPED_TRACE(host + " " + collector);
      const std::string expected = ExpectedText(host, collector);
      EXPECT_FALSE(expected.empty());
      CollectorPass pass(collector, CollectorPass::Fixture(host));
      EXPECT_EQ(pass.Run(), expected);
      EXPECT_EQ(pass.Run(), expected);  // nothing learnt in the first pass changes the second
    }
  }
}

TEST(Fixtures, EveryCollectorHasOne) {
  std::set<std::string> covered;
  for (const auto& [host, collectors] : kHosts)
    covered.insert(collectors.begin(), collectors.end());
  for (const CollectorRow& row : CollectorCatalogue()) {
    if (row.name.starts_with("container_") || kElsewhere.contains(row.name)) continue;
    EXPECT_TRUE(covered.contains(std::string(row.name))) << row.name;
  }
}

}  // namespace
}  // namespace faultline
