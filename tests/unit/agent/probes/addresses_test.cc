#include "agent/probes/addresses.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

namespace faultline {
namespace {

std::string Text(const char* address, uint16_t port) {
  uint8_t bytes[16] = {};
  EXPECT_EQ(inet_pton(AF_INET6, address, bytes), 1);
  return AddressText(AF_INET6, 0, bytes, port);
}

TEST(Addresses, AreWrittenAsPeopleDo) {
  uint32_t address = 0;
  ASSERT_EQ(inet_pton(AF_INET, "10.0.255.1", &address), 1);
  EXPECT_EQ(HostText(AF_INET, address, nullptr), "10.0.255.1");
  EXPECT_EQ(AddressText(AF_INET, address, nullptr, 80), "10.0.255.1:80");
  EXPECT_EQ(Text("::ffff:127.0.0.1", 65535), "127.0.0.1:65535");
  EXPECT_EQ(Text("fe80::1", 53), "[fe80::1]:53");
  EXPECT_EQ(AddressText(AF_UNIX, 0, nullptr, 0), "");
}

}  // namespace
}  // namespace faultline
