// Every collector against the fixture hosts: tests/fixtures/host-*/expected/<collector>.txt is what
// a pass must say. The same folders are compared with node_exporter in
// tests/e2e/node_exporter_parity_test.py.
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/support/collector_pass.h"

namespace faultline {
namespace {

// What these read is not in files, or has tests of its own.
const std::set<std::string_view> kElsewhere = {"filesystem", "processes", "self", "textfile",
                                               "time",       "timex",     "uname"};

struct Expected {
  std::string host, collector, text;
};

std::vector<Expected> AllExpected() {
  std::vector<Expected> all;
  for (const auto& host : std::filesystem::directory_iterator(CollectorPass::Fixture(""))) {
    if (!std::filesystem::exists(host.path() / "expected")) continue;
    for (const auto& file : std::filesystem::directory_iterator(host.path() / "expected")) {
      std::ostringstream text;
      text << std::ifstream(file.path()).rdbuf();
      all.push_back({host.path().filename(), file.path().stem(), text.str()});
    }
  }
  return all;
}

TEST(Fixtures, PassesSayWhatIsExpected) {
  for (const Expected& expected : AllExpected()) {
    SCOPED_TRACE(expected.host + " " + expected.collector);
    CollectorPass pass(expected.collector, CollectorPass::Fixture(expected.host));
    EXPECT_EQ(pass.Run(), expected.text);
    EXPECT_EQ(pass.Run(), expected.text);  // nothing learnt in the first pass changes the second
  }
}

TEST(Fixtures, EveryCollectorHasOne) {
  std::set<std::string> covered;
  for (const Expected& expected : AllExpected()) covered.insert(expected.collector);
  for (const CollectorRow& row : CollectorCatalogue()) {
    if (row.name.starts_with("container_") || kElsewhere.contains(row.name)) continue;
    EXPECT_TRUE(covered.contains(std::string(row.name))) << row.name;
  }
}

}  // namespace
}  // namespace faultline
