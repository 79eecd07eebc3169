// A folder of files that a test makes and that goes away with it: the host root of a leaf under
// test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "common/assert.h"

namespace faultline {

class TempTree {
 public:
  TempTree() {
    std::string pattern = (std::filesystem::temp_directory_path() / "faultline-XXXXXX").string();
    FAULTLINE_ASSERT(mkdtemp(pattern.data()) != nullptr, "no temporary folder");
    root_ = pattern;
  }
  ~TempTree() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  TempTree(const TempTree&) = delete;
  TempTree& operator=(const TempTree&) = delete;

  const std::string& root() const { return root_; }
  void Folder(std::string_view path) { std::filesystem::create_directories(At(path)); }
  // Folders on the way are made.
  void File(std::string_view path, std::string_view text) {
    std::filesystem::create_directories(At(path).parent_path());
    std::ofstream(At(path)) << text;
  }
  void Remove(std::string_view path) { std::filesystem::remove_all(At(path)); }

 private:
  std::filesystem::path At(std::string_view path) const { return root_ + "/" + std::string(path); }

  std::string root_;
};

}  // namespace faultline
