#include "tests/support/collector_pass.h"

namespace faultline {
namespace {

TEST(Catalogue, IsSortedDocumentedAndMakes) {
  std::string_view last;
  for (const CollectorRow& row : CollectorCatalogue()) {
    EXPECT_LT(last, row.name);
    EXPECT_FALSE(row.doc.empty()) << row.name;
    EXPECT_NE(row.make, nullptr) << row.name;
    last = row.name;
  }
}

// An empty host has nothing to say: every collector reports it, none crashes.
TEST(Catalogue, EverythingSurvivesAnEmptyHost) {
  for (const CollectorRow& row : CollectorCatalogue()) {
    CollectorPass pass(row.name, "/nonexistent");
    pass.Run();
    pass.Run();
  }
}

}  // namespace
}  // namespace faultline
