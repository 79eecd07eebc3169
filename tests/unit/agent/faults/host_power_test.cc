// host_reboot and host_shutdown: what they refuse. Nobody injects them here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/faults/fault.h"

namespace faultline {
namespace {

TEST(HostPower, NeedsTheWordThatADryRunNames) {
  SystemClock clock;
  const HostView view = HostView::Real("/", &clock);
  FaultHost host;
  host.host = &view;
  host.worker_program = "/no/such/program";
  for (const char* name : {"host_reboot", "host_shutdown"}) {
    const FaultRow* row = FindFault(FaultCatalogue(), name);
    ASSERT_NE(row, nullptr);
    EXPECT_TRUE(row->must_be_allowed);
    FaultSpec spec;
    spec.fault = name;
    spec.uid = "power";
    spec.parameters = *AcceptParameters(row->parameters, {}, name);
    const auto refused = row->make()->Plan(spec, host);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kPermissionDenied);
    const std::string& message = refused.error().message;
    const size_t quote = message.find('\'');
    const std::string word = message.substr(quote + 1, message.find('\'', quote + 1) - quote - 1);
    spec.dry_run = true;
    const auto dry = row->make()->Plan(spec, host);
    ASSERT_TRUE(dry);
    EXPECT_THAT(dry->victims.front(), testing::HasSubstr("confirm: " + word));
    spec.dry_run = false;
    spec.parameters["confirm"] = word + "x";
    EXPECT_FALSE(row->make()->Plan(spec, host));
    spec.parameters["confirm"] = word;
    EXPECT_TRUE(row->make()->Plan(spec, host));
  }
}

}  // namespace
}  // namespace faultline
