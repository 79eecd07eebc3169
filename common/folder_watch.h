// Says which folders changed: inotify behind one descriptor to poll, with rests, so that a file that is written all the time
// wakes its reader ten times a second instead of at every write. Without inotify (limits) everything is found by rescans.
// Not thread-safe; owned by the leaf that polls it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_descriptor.h"

namespace faultline {

class FolderWatch {
 public:
  struct Change {
    std::string path;    // the folder, as it was given to Add
    std::string name;    // of the file in it; empty: the folder itself
    bool names = false;  // files came, went or were renamed; else a file's contents changed
    bool made = false;   // a file came that was not there under another name
  };

  enum class Contents {
    kEveryWrite,  // every write, and every change of names: for who follows a growing file
    kClosed,      // only files that a writer closed or that were moved in, complete: for who reads a file as a whole
  };

  explicit FolderWatch(Contents contents = Contents::kEveryWrite);
  // Readable when there are changes, unless resting, or when the rest is over.
  int fd() const { return epoll_.get(); }
  bool works() const { return inotify_.valid(); }
  // `host_path` is where the folder really is. False: cannot be watched (it is gone, or there are
  // too many).
  bool Add(const std::string& path, const std::string& host_path);
  void Remove(const std::string& path);
  bool Watches(const std::string& path) const { return by_path_.contains(path); }
  // Everything since the last call; the rest is over. False: changes were lost, look at everything.
  bool Take(std::vector<Change>& changes);
  // No waking before `ns` from now; then in any case.
  void Rest(int64_t ns);

 private:
  void Listen(bool on);

  const uint32_t events_;
  FileDescriptor epoll_;
  FileDescriptor inotify_;
  FileDescriptor timer_;
  std::map<int, std::string> by_id_;
  std::map<std::string, int> by_path_;
};

}  // namespace faultline
