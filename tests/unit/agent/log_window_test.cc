#include "agent/log_window.h"

#include <gtest/gtest.h>

namespace faultline {
namespace {

constexpr uint64_t kMax = uint64_t{8} << 20;

TEST(LogWindowTest, ClosesWhileBatchesTakeLongAndOpensWhileTheyAreQuickAndWanted) {
  LogWindow window(kMax);
  int64_t now = 0;
  for (int i = 0; i < 100; ++i) window.Acknowledged(LogWindow::kTargetNs * 2, now += kNsPerSecond);
  EXPECT_EQ(window.bytes(), LogWindow::kMinBytes);
  for (int i = 0; i < 100; ++i) window.Acknowledged(kNsPerMs, now += kNsPerSecond);
  EXPECT_EQ(window.bytes(), LogWindow::kMinBytes) << "nothing was held back: there is no need";
  for (int i = 0; i < 100; ++i) {
    window.Held();
    window.Acknowledged(kNsPerMs, now += kNsPerMs);
  }
  EXPECT_EQ(window.bytes(), kMax);
}

TEST(LogWindowTest, OneDelayClosesItOnce) {
  LogWindow window(kMax);
  const uint64_t before = window.bytes();
  // All of these were on the road at once.
  for (int i = 0; i < 10; ++i) window.Acknowledged(kNsPerSecond, 10 * kNsPerSecond + i);
  EXPECT_EQ(window.bytes(), before - before / 4);
  window.Acknowledged(kNsPerSecond, 12 * kNsPerSecond);
  EXPECT_LT(window.bytes(), before - before / 4);
}

TEST(LogWindowTest, NeverWiderThanConfigured) {
  LogWindow window(1000);
  EXPECT_EQ(window.bytes(), 1000u);
  for (int i = 1; i < 10; ++i) window.Acknowledged(kNsPerSecond, i * 10 * kNsPerSecond);
  EXPECT_EQ(window.bytes(), 1000u);
}

}  // namespace
}  // namespace faultline
