#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "aggregator/api/routes/route.h"
#include "aggregator/checks/checks.h"
#include "aggregator/fleet.h"
#include "tests/support/memory_documents.h"

namespace faultline {
namespace {

using ::testing::HasSubstr;

class ChecksRoutesTest : public ::testing::Test {
 protected:
  ChecksRoutesTest() {
    v1::NodeHealthMemory memory;
    memory.set_node("n1");
    NodeHealth health("n1");
    v1::CheckResult result;
    result.set_rule("builtin/disk/space");
    result.set_condition("DiskPressure");
    result.set_verdict(v1::CHECK_VERDICT_PROBLEM);
    result.set_level(v1::CHECK_LEVEL_CRITICAL);
    result.set_started_unix_ns(clock_.UnixNs());
    health.Take(result, clock_.UnixNs(), {});
    EXPECT_TRUE(store_.PutDocument("node_health", "n1",
                                   health.ToMemory(clock_.UnixNs()).SerializeAsString()));
    EXPECT_TRUE(checks_.Load());
    context_.checks = &checks_;
    context_.fleet = &fleet_;
    context_.store = &store_;
    context_.clock = &clock_;
  }
  Result<Reply> Call(std::string_view method, std::string_view path, std::string body = "") {
    Request request;
    request.method = method;
    request.body = std::move(body);
    for (const Route& route : RouteCatalogue()) {
      if (route.path == path && route.methods == method) return route.handler(request, context_);
    }
    return Fail(ErrorCode::kNotFound, "no route {}", path);
  }

  SystemClock clock_;
  MemoryDocuments store_;
  Fleet fleet_{&clock_, kNsPerSecond};
  SelfMetrics metrics_;
  Checks checks_{&store_, &fleet_, &metrics_, &clock_, {}};
  ApiContext context_;
};

TEST_F(ChecksRoutesTest, ChecksAndConditions) {
  EXPECT_THAT(Call("GET", "/api/v1/checks")->body, HasSubstr("builtin/disk/space"));
  const std::string conditions = Call("GET", "/api/v1/checks/conditions")->body;
  EXPECT_THAT(conditions, HasSubstr("\"type\":\"DiskPressure\",\"status\":\"True\""));
  EXPECT_THAT(conditions, HasSubstr("\"priority\":50"));
  EXPECT_EQ(Call("GET", "/api/v1/checks/results").error().code, ErrorCode::kUnsupported)
      << "this store keeps documents only";
}

TEST_F(ChecksRoutesTest, PrioritiesAreTakenOrRefusedAsAWhole) {
  const auto refused = Call("PUT", "/api/v1/checks/priorities", "DiskPressure:7:true:-\nBroken\n");
  EXPECT_THAT(refused.error().message, HasSubstr("priority.conf:2: "));
  EXPECT_THAT(Call("GET", "/api/v1/checks/conditions")->body, HasSubstr("\"priority\":50"));
  ASSERT_TRUE(Call("PUT", "/api/v1/checks/priorities", "DiskPressure:7:true:-\n"));
  EXPECT_THAT(Call("GET", "/api/v1/checks/conditions")->body, HasSubstr("\"priority\":7"));
}

}  // namespace
}  // namespace faultline
