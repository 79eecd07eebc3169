#include "aggregator/reports/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "aggregator/objects/yaml.h"
#include "aggregator/reports/reports.h"
#include "tests/support/memory_documents.h"

namespace faultline {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Report Example() {
  Report report;
  report.title = "Node <n1>";
  report.verdict = "It is up & well.";
  report.mood = Mood::kGood;
  report.time_unix_ns = 1'800'000'000 * kNsPerSecond;
  report.sections.push_back({"Facts", "Two.", Mood::kWarning, {{"kernel", "6.1"}, {"cpus", "2"}}, {{"a", "b"}, {{"x|y", "<script>"}}}});
  return report;
}

TEST(ReportTest, Text) {
  EXPECT_EQ(RenderReportText(Example()),
            "Node <n1>\n=========\nIt is up & well.\nat 2027-01-15T08:00:00.000Z\n\n"
            "Facts\n-----\nTwo.\n  kernel  6.1\n  cpus    2\n  a    b\n  x|y  <script>\n");
}

TEST(ReportTest, HtmlEscapesAndLoadsNothing) {
  const std::string html = RenderReportHtml(Example());
  EXPECT_THAT(html, HasSubstr("<h1>Node &lt;n1&gt;</h1>"));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;</td>"));
  for (const char* never : {"<script", "src=", "@import"}) EXPECT_THAT(html, Not(HasSubstr(never)));
}

TEST(ReportTest, EveryFormatAndNoOther) {
  EXPECT_THAT(*RenderReport(Example(), "markdown"), HasSubstr("| x\\|y | \\<script\\> |"));
  const auto yaml = ParseYaml(*RenderReport(Example(), "yaml"));
  ASSERT_TRUE(yaml) << yaml.error().message;
  EXPECT_EQ(yaml->front(), boost::json::value(ReportJson(Example())));
  EXPECT_FALSE(RenderReport(Example(), "pdf"));
}

TEST(ReportTest, NodeReportOfANodeThatFellSilent) {
  ManualClock clock(1'800'000'000 * kNsPerSecond);
  Fleet fleet(&clock, 15 * kNsPerSecond);
  MemoryDocuments store;
  GroundTruth truth(&store);
  const ReportSources sources = {&fleet, nullptr, &truth, &clock};
  EXPECT_EQ(MakeNodeReport("n1", sources).error().code, ErrorCode::kNotFound);
  v1::Hello hello;
  hello.set_version("1.2.3");
  fleet.OnHello("n1", hello);
  v1::Inventory inventory;
  (*inventory.mutable_facts())["kernel"] = "6.1";
  v1::LeafStatus& leaf = *inventory.add_leaves();
  leaf.set_kind("probe");
  leaf.set_name("tcp");
  leaf.set_reason("no BTF");
  fleet.OnInventory("n1", inventory);
  const auto up = MakeNodeReport("n1", sources);
  ASSERT_TRUE(up) << up.error().message;
  EXPECT_THAT(up->verdict, HasSubstr("The node is up"));
  EXPECT_THAT(RenderReportText(*up), HasSubstr("no BTF"));
  clock.Advance(60 * kNsPerSecond);
  const auto down = MakeNodeReport("n1", sources);
  EXPECT_EQ(down->mood, Mood::kBad);
  EXPECT_EQ(down->verdict, "The node is down: not heard of for 60 s.");
  EXPECT_THAT(MakeClusterReport(sources)->verdict, HasSubstr("0 of 1 nodes are up"));
}

}  // namespace
}  // namespace faultline
