#include "agent/probes/stack_names.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/probes/elf_functions.h"
#include "agent/probes/nearest_symbol.h"
#include "common/file_descriptor.h"
#include "tests/support/temp_tree.h"

// With external linkage and C names, so that this program's own symbol table tells them.
extern "C" __attribute__((noinline)) int faultline_test_outer(int n) {
  asm volatile("" ::: "memory");
  return n + 1;
}

namespace faultline {
namespace {

using testing::ElementsAre;

uint64_t AddressOfOuter() { return reinterpret_cast<uint64_t>(&faultline_test_outer); }

TEST(NearestSymbol, IsTheOneThatBeginsNearestBelow) {
  NearestSymbol nearest({5, 20, 25, 40});
  nearest.Offer(30, 0, 3);
  nearest.Offer(10, 0, 1);
  nearest.Offer(50, 0, 9);
  nearest.Offer(20, 0, 2);
  nearest.Offer(20, 4, 7);  // the same place, and how long it is
  const auto& found = nearest.Find();
  EXPECT_FALSE(found[0].is_known);
  EXPECT_EQ(found[1].name, 7);
  EXPECT_EQ(found[2].name, 7);
  EXPECT_EQ(found[3].name, 3);
}

TEST(ElfFunctions, TellsAFunctionOfThisProgram) {
  const auto maps = [] {
    const FsRoot root;
    return ReadableMaps(root.Read("/proc/self/maps").value());
  }();
  const auto mine = std::ranges::find_if(maps, [](const MappedFile& file) {
    return AddressOfOuter() >= file.begin && AddressOfOuter() < file.end;
  });
  ASSERT_NE(mine, maps.end());
  const uint64_t offset = AddressOfOuter() - mine->begin + mine->offset;
  const FileDescriptor file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  const auto names = FunctionsAt(file.get(), {0, offset, offset + 1, uint64_t{1} << 60});
  ASSERT_TRUE(names);
  EXPECT_THAT(*names, ElementsAre("", "faultline_test_outer", "faultline_test_outer", ""));
}

TEST(ElfFunctions, RefusesWhatIsNone) {
  const FileDescriptor text(open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(FunctionsAt(text.get(), {1}));
  // A header that promises tables that are not there.
  std::string header(64, '\0');
  const FileDescriptor real(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(pread(real.get(), header.data(), header.size(), 0), 64);
  const FileDescriptor cut(memfd_create("cut", MFD_CLOEXEC));
  ASSERT_EQ(write(cut.get(), header.data(), header.size()), 64);
  const auto names = FunctionsAt(cut.get(), {0x1000});
  ASSERT_TRUE(names);
  EXPECT_THAT(*names, ElementsAre(""));
}

TEST(ElfFunctions, WritesNamesAsPeopleDo) {
  EXPECT_EQ(ReadableName("_ZN9faultline5CrashEi"), "faultline::Crash(int)");
  EXPECT_EQ(ReadableName("main"), "main");
  EXPECT_EQ(ReadableName(std::string(5000, 'x')).size(), 256 + std::string("…").size());
}

TEST(ReadableMaps, KeepsWhatMayBeRun) {
  const auto files = ReadableMaps(
      "5581a000-5581b000 r--p 00000000 fe:00 1234  /usr/bin/with blank\n"
      "5581b000-5581c000 r-xp 00001000 fe:00 1234  /usr/bin/with blank\n"
      "7ffd0000-7ffd2000 r-xp 00000000 00:00 0 [vdso]\n"
      "rubbish r-xp 0 0 0\n");
  ASSERT_EQ(files.size(), 2);
  EXPECT_EQ(files[0].begin, 0x5581b000);
  EXPECT_EQ(files[0].offset, 0x1000);
  EXPECT_EQ(files[0].path, "/usr/bin/with blank");
  EXPECT_EQ(files[1].path, "[vdso]");
}

// This very process by its real maps, the kernel by a file of the test's.
class StackNamesTest : public testing::Test {
 protected:
  static RawStack Stack(uint64_t samples) {
    RawStack stack;
    stack.pid = static_cast<uint32_t>(getpid());
    stack.thread = "a;b\n";
    stack.samples = samples;
    // Where it goes on after the call is one further than the call.
    stack.in_user = {AddressOfOuter(), AddressOfOuter() + 2, 8};
    return stack;
  }
};

TEST_F(StackNamesTest, FoldsFromTheThreadInwards) {
  StackNames names{FsRoot()};
  const auto named = names.Name({Stack(3), Stack(4)});
  ASSERT_EQ(named.size(), 1);
  EXPECT_EQ(named[0].text, "a:b:;[unknown];faultline_test_outer;faultline_test_outer");
  EXPECT_EQ(named[0].samples, 7);
}

TEST_F(StackNamesTest, OfTheKernelByTheSymbolBelow) {
  TempTree tree;
  tree.File("/proc/kallsyms",
             "ffffffff81000000 T _stext\nffffffff81000100 t inner\nffffffff81000200 D not_code\n"
             "ffffffff81000180 t outer\t[module]\n");
  StackNames names{FsRoot(tree.root())};
  RawStack stack;
  stack.thread = "k";
  stack.samples = 1;
  stack.in_kernel = {0xffffffff81000110, 0xffffffff81000210, 16};
  const auto named = names.Name({stack});
  ASSERT_EQ(named.size(), 1);
  EXPECT_EQ(named[0].text, "k;[kernel];outer_[k];inner_[k]");
}

TEST_F(StackNamesTest, OfADeadProcessAndALostStackTheSamplesRemain) {
  StackNames names{FsRoot()};
  RawStack dead = Stack(5);
  dead.pid = UINT32_MAX;
  dead.in_user.resize(1);
  RawStack lost;
  lost.thread = "t";
  lost.samples = 2;
  lost.is_lost = true;
  const auto named = names.Name({dead, lost});
  ASSERT_EQ(named.size(), 2);
  EXPECT_EQ(named[0].text, "a:b:;[unknown]");
  EXPECT_EQ(named[1].text, "t;[stack lost]");
}

TEST_F(StackNamesTest, WhatIsTooMuchIsOneStackOfItsOwner) {
  StackNames names{FsRoot()};
  std::vector<RawStack> stacks;
  uint64_t samples = 0;
  for (uint32_t i = 0; i < 150'000; ++i) {
    RawStack stack;
    stack.owner = i % 2;
    stack.thread = "thread-" + std::to_string(i) + "-with-a-name";
    stack.samples = 1;
    samples += 1;
    stacks.push_back(std::move(stack));
  }
  uint64_t sum = 0;
  size_t bytes = 0, rests = 0;
  for (const NamedStack& stack : names.Name(stacks)) {
    sum += stack.samples;
    bytes += stack.text.size();
    rests += stack.text == "[more stacks]";
  }
  EXPECT_EQ(sum, samples);
  EXPECT_GE(rests, 1);
  EXPECT_LT(bytes, StackNames::kMaxTextBytes + 100);
}

}  // namespace
}  // namespace faultline
