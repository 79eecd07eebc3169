// The part of the tailer that finds files: folders come and go, names in a folder move from file to
// file. A file is its device and inode; names only say whose it is. What to do with a file that was
// not there before depends on its past: the position it was read to, the file that had its name
// before, the file that it is a copy of.
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>

#include "agent/logs/log_tailer.h"
#include "common/log.h"

namespace faultline {
namespace {

constexpr size_t kMaxRefused = 10'000;

std::vector<std::pair<std::string, std::string>> StreamLabels(const LogFileRole& role) {
  std::vector<std::pair<std::string, std::string>> labels;
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) labels.emplace_back(name, value);
  };
  add("container", role.container);
  add("filename", role.filename);
  add("job", role.job);
  add("namespace", role.name_space);
  add("pod", role.pod);
  return labels;
}

LogOwner OwnerOf(const LogFileRole& role) {
  return {.name_space = role.name_space,
          .pod = role.pod,
          .container = role.container,
          .file = role.filename};
}

// In place of device and inode where a folder is one container's.
FileKey KeyOfFolder(const std::string& path) {
  return {.device = XXH3_64bits(path.data(), path.size()), .inode = 0};
}

// `app.log.1` may be a copy of `app.log`.
bool IsNamedAfter(std::string_view copy, std::string_view original) {
  return copy.size() > original.size() && copy.starts_with(original) &&
         (copy[original.size()] == '.' || copy[original.size()] == '-');
}

}  // namespace

struct LogTailer::Candidate {
  std::string name;
  FileKey key;
  LogFileRole role;
  OpenedLog opened;
  bool was_read = false;  // its beginning, before this start
};

void LogTailer::TakeChanges() {
  std::vector<FolderWatch::Change> changes;
  looked_ns_ = Now();
  if (!watch_.Take(changes)) {
    walk_wanted_ = true;
    for (auto& [key, folder] : folders_)
      folder.made.clear();  // changes were lost: nothing is known
  }
  for (const FolderWatch::Change& change : changes) {
    if (change.names && parents_.contains(change.path)) walk_wanted_ = true;
    for (const auto kind : {LogFolderKind::kPodContainer, LogFolderKind::kContainerLinks,
                            LogFolderKind::kDocker, LogFolderKind::kFiles}) {
      const auto folder = folders_.find({change.path, kind});
      if (folder == folders_.end()) continue;
      if (change.names) {
        changed_.insert(folder->first);
        // Before the first look everything is new.
        if (change.made && folder->second.scanned) ++folder->second.made[change.name];
        continue;
      }
      const auto name = folder->second.names.find(change.name);
      if (name == folder->second.names.end()) continue;
      if (const auto file = files_.find(name->second); file != files_.end())
        Enqueue(file->first, file->second);
    }
  }
}

void LogTailer::ScanChanged() {
  for (const FolderKey& key : std::exchange(changed_, {})) {
    if (const auto folder = folders_.find(key); folder != folders_.end())
      ScanFolder(folder->second);
  }
}

void LogTailer::LoseName(Tracked& tracked) {
  if (--tracked.names > 0) return;
  tracked.grown_ns = Now();
  lost_names_ = true;
}

void LogTailer::Walk() {
  walk_wanted_ = false;
  next_walk_ns_ = Now() + limits_.rescan_ns;
  roots_.Refresh();
  FoundLogFolders found = FindLogFolders(host_.fs, config_);
  std::map<FolderKey, Folder> now;
  for (LogFolder& folder : found.folders) {
    const FolderKey key{folder.path, folder.kind};
    auto before = folders_.extract(key);
    Folder& kept = now[key];
    if (!before.empty()) kept = std::move(before.mapped());
    kept.what = std::move(folder);
    watch_.Add(key.first, host_.fs.Path(key.first));
  }
  parents_ = {found.parents.begin(), found.parents.end()};
  for (const std::string& parent : parents_) watch_.Add(parent, host_.fs.Path(parent));
  for (auto& [key, gone] : folders_) {
    for (const auto& [name, file_key] : gone.names) {
      if (const auto file = files_.find(file_key); file != files_.end()) LoseName(file->second);
    }
    if (!parents_.contains(key.first)) watch_.Remove(key.first);
  }
  folders_ = std::move(now);
  changed_.clear();
  // In order of kind, so that a file belongs to the folder that knows most about it.
  for (const auto kind : {LogFolderKind::kPodContainer, LogFolderKind::kContainerLinks,
                          LogFolderKind::kDocker, LogFolderKind::kFiles}) {
    for (auto& [key, folder] : folders_) {
      if (key.second == kind) ScanFolder(folder);
    }
  }
}

struct LogTailer::Seen {
  FileKey key;
  int64_t modified_ns = 0;
};

std::optional<LogTailer::Seen> LogTailer::Look(const std::string& path) {
  struct stat status{};
  if (lstat(host_.fs.Path(path).c_str(), &status) != 0) return std::nullopt;
  if (S_ISREG(status.st_mode)) {
    return Seen{
        .key = {.device = status.st_dev, .inode = status.st_ino},
        .modified_ns = int64_t{status.st_mtim.tv_sec} * kNsPerSecond + status.st_mtim.tv_nsec};
  }
  if (S_ISDIR(status.st_mode)) return std::nullopt;
  auto key = roots_.Resolve(path);
  if (key) return Seen{.key = *key};
  Refuse(path, key.error());
  return std::nullopt;
}

void LogTailer::ScanFolder(Folder& folder) {
  const auto listed = host_.fs.List(folder.what.path);
  const std::vector<std::string> entries = listed ? *listed : std::vector<std::string>();
  std::map<std::string, FileKey> names;
  std::map<FileKey, int64_t> ignored;
  std::vector<Candidate> candidates;
  for (const std::string& name : entries) {
    const auto role = RoleOf(folder.what, name);
    if (!role || !treatments_->Wanted(OwnerOf(*role))) continue;
    const std::string path = folder.what.path + "/" + name;
    const auto seen = Look(path);
    if (!seen) continue;
    if (const auto old = folder.ignored.find(seen->key);
        role->only_if_known && old != folder.ignored.end() && old->second == seen->modified_ns) {
      ignored.insert(*old);
      continue;
    }
    names[name] = seen->key;
    if (const auto file = files_.find(seen->key); file != files_.end()) {
      ++file->second.names;
      Enqueue(seen->key, file->second);
      continue;
    }
    auto opened = roots_.Open(path);
    if (!opened) {
      Refuse(path, opened.error());
      names.erase(name);
      continue;
    }
    candidates.push_back(
        {.name = name, .key = seen->key, .role = *role, .opened = std::move(*opened)});
  }
  names.swap(folder.names);
  ignored.swap(folder.ignored);
  for (const auto& [name, key] : names) {
    if (const auto file = files_.find(key); file != files_.end()) LoseName(file->second);
  }
  // Oldest first, so that each finds its predecessor.
  std::ranges::sort(candidates, {}, [](const Candidate& one) {
    return std::tuple(std::string_view(one.role.filename), !one.role.rotated,
                      std::string_view(one.role.order), one.opened.modified_ns,
                      std::string_view(one.name));
  });
  CountMissed(folder, entries, candidates);
  std::string_view known;  // the log of which an older file had been read
  for (Candidate& candidate : candidates) {
    // What appears while we look was the live file a moment ago; so was, while we were away, what
    // is newer than a file that we know.
    if (folder.scanned || known == candidate.role.filename) candidate.role.only_if_known = false;
    // The name before this one, if it was the same log's: it must be drained first.
    std::string name = candidate.name;
    const auto before = names.find(name);
    const std::optional<FileKey> after = before != names.end() && !(before->second == candidate.key)
                                             ? std::optional(before->second)
                                             : std::nullopt;
    const FileKey key = candidate.key;
    const int64_t modified_ns = candidate.opened.modified_ns;
    Track(folder, candidate);
    const auto tracked = files_.find(key);
    if (tracked == files_.end()) {
      folder.names.erase(name);
      folder.ignored[key] = modified_ns;  // nothing new in it
    } else if (after && files_.contains(*after)) {
      tracked->second.after = after;
    }
    if (candidate.was_read) known = candidate.role.filename;
  }
  folder.scanned = true;
}

// Of the files that were made since the last look each is found: under the name that it was made
// with, or, renamed since, as a file that was not there before. If there are fewer, some came and
// went. A file may be found before we are told that it was made.
void LogTailer::CountMissed(Folder& folder, const std::vector<std::string>& listed,
                            const std::vector<Candidate>& found) {
  const auto is_told = [&](const Candidate& one) { return folder.made.contains(one.name); };
  const auto untold = static_cast<uint64_t>(found.size() - std::ranges::count_if(found, is_told));
  uint64_t before = std::exchange(folder.untold, untold);
  for (const auto& [name, times] : std::exchange(folder.made, {})) {
    const auto role = RoleOf(folder.what, name);
    if (!role || role->compressed || !treatments_->Wanted(OwnerOf(*role))) continue;
    uint64_t missing = times;
    if (std::ranges::find(listed, name) != listed.end()) {
      --missing;
      // It had been found before we were told.
      if (before > 0 && std::ranges::find(found, name, &Candidate::name) == found.end()) --before;
    }
    for (uint64_t* others : {&before, &folder.untold}) {
      const uint64_t taken = std::min(*others, missing);
      *others -= taken;
      missing -= taken;
    }
    if (missing > 0) SubjectOf(*role)->missed_files += missing;
  }
}

void LogTailer::Track(Folder& folder, Candidate& candidate) {
  if (const auto same = files_.find(candidate.opened.key); same != files_.end()) {
    ++same->second.names;  // a second name in this very folder
    return;
  }
  if (files_.size() >= limits_.files) {
    ++beyond_limit_;
    return;
  }
  const LogFileRole& role = candidate.role;
  const LogTreatment& treatment = treatments_->Of(OwnerOf(role));
  Tracked tracked;
  tracked.modified_ns = candidate.opened.modified_ns;
  tracked.file = std::make_unique<LogFile>(
      std::move(candidate.opened),
      LogFile::Options{.max_line_bytes = config_.max_line_bytes(),
                       .labels = StreamLabels(role),
                       .parser = role.parser,
                       .identity = role.owns_folder ? std::optional(KeyOfFolder(folder.what.path))
                                                    : std::nullopt,
                       .compressed = role.compressed,
                       .treatment = &treatment,
                       .clock = host_.clock},
      [this](uint64_t file_id) { return Position(file_id); });
  tracked.name = candidate.name;
  tracked.folder = {folder.what.path, folder.what.kind};
  tracked.names = 1;
  tracked.grown_ns = Now();
  struct stat status{};
  const std::string path = host_.fs.Path(folder.what.path + "/" + candidate.name);
  tracked.watched = watch_.Watches(folder.what.path) && lstat(path.c_str(), &status) == 0 &&
                    S_ISREG(status.st_mode);
  candidate.was_read = tracked.file->is_known();
  if (role.compressed && IsReadElsewhere(tracked)) return;
  const bool is_copy = !role.compressed && !tracked.file->is_known() && AdoptCopy(tracked, folder);
  if (role.only_if_known && !is_copy && !tracked.file->is_known()) return;
  tracked.subject = SubjectOf(role);
  const FileKey key = tracked.file->key();
  if (role.owns_folder) MatchCopies(key, tracked);
  const auto placed = files_.emplace(key, std::move(tracked)).first;
  Enqueue(key, placed->second);
}

std::shared_ptr<LogTailer::Subject> LogTailer::SubjectOf(const LogFileRole& role) {
  auto& subject = subjects_[fmt::format("{}/{}/{}", role.name_space, role.pod, role.container)];
  if (!subject) {
    subject = std::make_shared<Subject>();
    subject->name_space = role.name_space;
    subject->pod = role.pod;
    subject->container = role.container;
  }
  return subject;
}

// What is beyond the copy was written between copying and truncating.
void LogTailer::Ended::FoundIn(const LogFile& copy) {
  unread = size > copy.size() ? size - copy.size() : 0;
}

// Where a folder is one container's, a copy has the identity of what it is a copy of, and is read
// on without more ado: all that is left to do is not to count as lost what it holds.
void LogTailer::MatchCopies(const FileKey& key, Tracked& tracked) {
  if (tracked.file->identity() == tracked.file->key()) return;
  for (auto& [other_key, other] : files_) {
    if (other_key == key || !(other.file->identity() == tracked.file->identity())) continue;
    for (auto& [original, copy] : {std::pair(&tracked, &other), std::pair(&other, &tracked)}) {
      for (Ended& ended : original->ended) {
        if (ended.fingerprint == copy->file->fingerprint().hash) ended.FoundIn(*copy->file);
      }
    }
  }
}

// A compressed file holds what was read before it was compressed, or is being read from the file
// that has lost its name.
bool LogTailer::IsReadElsewhere(const Tracked& compressed) const {
  const LogFile& file = *compressed.file;
  if (!file.fingerprint().complete()) return true;
  if (file.is_known() && file.unread_bytes() == 0) return true;
  return std::ranges::any_of(files_, [&](const auto& entry) {
    LogFile& other = *entry.second.file;
    other.Identify();  // it may not have been its turn yet
    return other.identity() == file.identity() &&
           other.fingerprint().hash == file.fingerprint().hash;
  });
}

// True if it is a copy of a file of this folder, made before that one was truncated.
bool LogTailer::AdoptCopy(Tracked& copy, const Folder& folder) {
  LogFile& file = *copy.file;
  if (!file.fingerprint().complete()) return false;
  for (const auto& [name, key] : folder.names) {
    const auto original = files_.find(key);
    if (original == files_.end() || !IsNamedAfter(copy.name, name)) continue;
    // Truncated in front of our eyes …
    for (Ended& ended : original->second.ended) {
      if (ended.fingerprint != file.fingerprint().hash) continue;
      file.ContinueAs(ended.generation);
      ended.FoundIn(file);
      return true;
    }
    // … or not yet, or not yet noticed …
    LogFile& source = *original->second.file;
    if (source.fingerprint().hash == file.fingerprint().hash &&
        (source.WasTruncated() || source.SharesBytesWith(file))) {
      Enqueue(key, original->second);
      copy.copy_of = key;
      return true;
    }
    // … or while we were away.
    const LogGeneration generation =
        FindGeneration(source.identity(), file.fingerprint(), file.size(),
                       [this](uint64_t file_id) { return Position(file_id); });
    if (generation.known) {
      file.ContinueAs(generation);
      return true;
    }
  }
  return false;
}

void LogTailer::ContinueCopies(const FileKey& original, Tracked& truncated) {
  for (auto& [key, copy] : files_) {
    if (!copy.copy_of || !(*copy.copy_of == original)) continue;
    for (Ended& ended : truncated.ended) {
      if (ended.fingerprint != copy.file->fingerprint().hash) continue;
      copy.copy_of.reset();
      copy.file->Changed();
      copy.file->ContinueAs(ended.generation);
      ended.FoundIn(*copy.file);
      Enqueue(key, copy);
      break;
    }
  }
}

void LogTailer::Refuse(const std::string& path, const Error& error) {
  if (error.code == ErrorCode::kNotFound) return;  // gone between list and open
  if (refused_.size() >= kMaxRefused || !refused_.insert(path).second) return;
  ++newly_refused_;
  if (LogAllowed("log_refused")) spdlog::warn("logs: {}", error.message);
}

}  // namespace faultline
