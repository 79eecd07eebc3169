#include "agent/faults/fault_journal.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temp_tree.h"

namespace faultline {
namespace {

v1::FaultJournalEntry Entry(const std::string& uid) {
  v1::FaultJournalEntry entry;
  entry.set_fault_uid(uid);
  entry.set_fault("cpu_stress");
  entry.set_phase(v1::FAULT_JOURNAL_PHASE_PLANNED);
  (*entry.mutable_state())["folders"] = "cpu\t/sys/fs/cgroup/cpu/a";
  return entry;
}

class JournalTest : public testing::Test {
 protected:
  std::vector<std::string> Files() {
    std::vector<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(folder))
      names.push_back(file.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  TempTree tree;
  std::string folder = tree.root() + "/state/faults";
  Result<FaultJournal> journal = FaultJournal::Open(folder);
};

TEST_F(JournalTest, ReadsWhatItSaved) {
  ASSERT_TRUE(journal);
  ASSERT_TRUE(journal->Save(Entry("a-1")));
  auto changed = Entry("a-1");
  changed.set_phase(v1::FAULT_JOURNAL_PHASE_DONE);
  ASSERT_TRUE(journal->Save(changed));
  EXPECT_EQ(journal->Load("a-1")->SerializeAsString(), changed.SerializeAsString());
  EXPECT_EQ(Files(), std::vector<std::string>{"a-1.fault"});
  EXPECT_EQ(journal->LoadAll()->entries.size(), 1u);
  ASSERT_TRUE(journal->Remove("a-1"));
  ASSERT_TRUE(journal->Remove("a-1"));
  EXPECT_EQ(journal->Load("a-1").error().code, ErrorCode::kNotFound);
}

TEST_F(JournalTest, EveryCutAndEveryFlippedBitIsSeen) {
  const std::string text = EncodeJournalEntry(Entry("a"));
  ASSERT_TRUE(DecodeJournalEntry(text));
  for (size_t size = 0; size < text.size(); ++size) {
    const auto decoded = DecodeJournalEntry(std::string_view(text).substr(0, size));
    ASSERT_FALSE(decoded) << "cut to " << size;
    EXPECT_EQ(decoded.error().code, ErrorCode::kCorruption);
  }
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string bad = text;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_FALSE(DecodeJournalEntry(bad)) << "bit " << bit;
  }
  EXPECT_FALSE(DecodeJournalEntry(text + "x"));
}

TEST_F(JournalTest, UnreadableIsNamedAndSetAside) {
  ASSERT_TRUE(journal->Save(Entry("good")));
  ASSERT_TRUE(journal->Save(Entry("bad")));
  std::filesystem::resize_file(folder + "/bad.fault", 20);
  std::filesystem::copy_file(folder + "/good.fault", folder + "/other.fault");
  std::ofstream(folder + "/.new-x-1") << "half";
  const auto contents = journal->LoadAll();
  ASSERT_TRUE(contents);
  EXPECT_EQ(contents->entries.size(), 1u);
  ASSERT_EQ(contents->unreadable.size(), 2u);
  EXPECT_TRUE(contents->unreadable[0].starts_with("bad.fault: "));
  EXPECT_TRUE(contents->unreadable[1].starts_with("other.fault: "))
      << "a file must be about the fault it is named after";
  journal->SetAsideUnreadable();
  EXPECT_EQ(Files(),
            (std::vector<std::string>{"bad.fault.corrupt", "good.fault", "other.fault.corrupt"}));
}

TEST_F(JournalTest, NamesThatAreNoFileNamesAreRefused) {
  for (const char* uid : {"", ".", "..", "../x", "a/b", ".hidden", "a b", "\xc3\xa4"}) {
    EXPECT_FALSE(IsFaultUid(uid)) << uid;
    EXPECT_EQ(journal->Load(uid).error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_FALSE(IsFaultUid(std::string(129, 'a')));
  EXPECT_TRUE(IsFaultUid("3f2c-A_1.b"));
}

TEST_F(JournalTest, WhatCannotBeReadBackIsNotPromised) {
  auto entry = Entry("a");
  (*entry.mutable_state())["path"] = "/\xff";
  EXPECT_TRUE(journal->Save(entry)) << "paths are bytes";
  entry.add_victims("\xff");
  EXPECT_FALSE(journal->Save(entry));
}

TEST_F(JournalTest, OneAtATime) {
  auto first = journal->Lock("a", 0);
  ASSERT_TRUE(first);
  EXPECT_EQ(journal->Lock("a", 20).error().code, ErrorCode::kTimeout);
  EXPECT_TRUE(journal->Lock("b", 0));
  first = Fail(ErrorCode::kInternal, "let go");
  EXPECT_TRUE(journal->Lock("a", 0));
  const auto owner = journal->LockOwner();
  ASSERT_TRUE(owner);
  EXPECT_EQ(journal->LockOwner().error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace faultline
