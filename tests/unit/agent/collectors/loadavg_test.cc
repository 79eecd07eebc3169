#include "tests/support/collector_pass.h"

namespace faultline {
namespace {

TEST(Loadavg, EmitsThreeAverages) {
  CollectorPass pass("loadavg", CollectorPass::Fixture("host-small"));
  EXPECT_EQ(pass.Run(), R"(# TYPE node_load1 gauge
node_load1 0.14
# TYPE node_load15 gauge
node_load15 12.01
# TYPE node_load5 gauge
node_load5 1.05
)");
}

TEST(Loadavg, MissingFileIsNotFound) {
  CollectorPass pass("loadavg", "/nonexistent");
  EXPECT_TRUE(pass.Run().starts_with("not_found: "));
}

}  // namespace
}  // namespace faultline
