// One file that is made, changed, moved or lost, and exactly as before afterwards. The original is
// never copied and put back: it is moved aside by one rename in its own folder (deleted, replaced)
// or only its mode, name or end is touched; so its contents, inode and times cannot be lost. What
// somebody else did to the stand-in meanwhile is kept beside it and named as residue.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "agent/faults/fault_tag.h"
#include "agent/faults/target_files.h"
#include "common/text.h"

namespace faultline {
namespace {

constexpr size_t kMaxEditedBytes = size_t{64} << 20;
constexpr size_t kMaxAppendedBytes = size_t{64} << 20;

Result<void> Rename(const FilePlace& place, const std::string& from, const std::string& to,
                    unsigned flags, int to_folder = -1) {
  const int folder = place.folder.get();
  if (syscall(SYS_renameat2, folder, from.c_str(), to_folder < 0 ? folder : to_folder, to.c_str(),
              flags) != 0)
    return FailErrno(errno, "rename {} to {}", from, to);
  (void)fsync(folder);
  return {};
}

bool Exists(const FilePlace& place, const std::string& name) {
  return StatPlace(place, name).has_value();
}

std::string Aside(const FaultPlan& plan) { return "." + plan.State("tag") + ".original"; }

// The stand-in that somebody changed: kept, under a name that says so.
std::string Changed(const FaultPlan& plan, const FilePlace& place) {
  return place.name + "." + plan.State("tag") + ".changed";
}

std::string Appended(const FaultPlan& plan) {
  const std::string data = plan.spec.Text("data") + "\n";
  std::string all;
  for (int64_t i = 0; i < plan.spec.Integer("count"); ++i) all += data;
  return all;
}

std::string Replaced(const FaultSpec& spec, const std::string& text) {
  const std::string from = spec.Text("origin-string");
  const std::string to = spec.Text("dest-string");
  const int64_t only_line = spec.Integer("line");
  std::string out;
  int64_t line = 1;
  for (size_t at = 0; at < text.size();) {
    if ((only_line == 0 || line == only_line) && text.compare(at, from.size(), from) == 0) {
      out += to;
      at += from.size();
      continue;
    }
    if (text[at] == '\n') ++line;
    out += text[at++];
  }
  return out;
}

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// What each kind does at one place. `plan` has tag, path and what else its Look remembered.
struct FileAction {
  Result<void> (*look)(FaultPlan& plan, const FilePlace& place);
  Result<void> (*act)(const FaultPlan& plan, const FilePlace& place, const FileDescriptor& root);
  Result<void> (*undo)(const FaultPlan& plan, const FilePlace& place, const FileDescriptor& root);
  bool (*is_done)(const FaultPlan& plan, const FilePlace& place, const FileDescriptor& root);
  std::string_view effect;
};

Result<void> NeedsFile(const FilePlace& place, const std::string& parameter, bool regular = true) {
  const auto status = StatPlace(place);
  if (!status)
    return Fail(ErrorCode::kNotFound, "parameters.{}: {} does not exist", parameter, place.name);
  if (regular && !S_ISREG(status->st_mode))
    return Fail(ErrorCode::kInvalidArgument, "parameters.{}: {} is no regular file", parameter,
                place.name);
  return {};
}

// ---- create -----------------------------------------------------------------------------------

Result<void> LookCreate(FaultPlan&, const FilePlace& place) {
  if (Exists(place, place.name))
    return Fail(ErrorCode::kConflict, "parameters.file-name: {} exists", place.name);
  return {};
}

Result<void> ActCreate(const FaultPlan& plan, const FilePlace& place, const FileDescriptor&) {
  if (plan.State("is_folder") == "1") {
    if (mkdirat(place.folder.get(), place.name.c_str(), 0755) != 0)
      return FailErrno(errno, "make folder {}", place.name);
    return {};
  }
  const FileDescriptor file(openat(place.folder.get(), place.name.c_str(),
                                   O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
  if (!file) return FailErrno(errno, "make file {}", place.name);
  return {};
}

Result<void> UndoCreate(const FaultPlan& plan, const FilePlace& place, const FileDescriptor&) {
  const auto status = StatPlace(place);
  if (!status) return {};
  if (plan.State("is_folder") == "1") {
    if (unlinkat(place.folder.get(), place.name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT &&
        errno != ENOTEMPTY && errno != ENOTDIR)
      return FailErrno(errno, "remove folder {}", place.name);
    return {};
  }
  // Somebody wrote into it: it is theirs now, Residue names it.
  if (!S_ISREG(status->st_mode) || status->st_size != 0) return {};
  if (unlinkat(place.folder.get(), place.name.c_str(), 0) != 0 && errno != ENOENT)
    return FailErrno(errno, "remove file {}", place.name);
  return {};
}

bool IsCreated(const FaultPlan&, const FilePlace& place, const FileDescriptor&) {
  return Exists(place, place.name);
}

// ---- modify (mode) ----------------------------------------------------------------------------

Result<void> LookModify(FaultPlan& plan, const FilePlace& place) {
  FAULTLINE_TRY(NeedsFile(place, "file-name", false));
  const auto status = StatPlace(place);
  if (S_ISLNK(status->st_mode))
    return Fail(ErrorCode::kInvalidArgument, "parameters.file-name: {} is a symbolic link",
                place.name);
  if (!ParseUint(plan.spec.Text("privilege"), 8) ||
      *ParseUint(plan.spec.Text("privilege"), 8) > 07777)
    return Fail(ErrorCode::kInvalidArgument, "parameters.privilege: '{}' is no octal mode",
                plan.spec.Text("privilege"));
  plan.state["mode"] = fmt::format("{:o}", status->st_mode & 07777);
  plan.state["inode"] = std::to_string(status->st_ino);
  return {};
}

Result<void> SetMode(const FilePlace& place, uint64_t mode) {
  if (fchmodat(place.folder.get(), place.name.c_str(), static_cast<mode_t>(mode), 0) != 0 &&
      errno != ENOENT)
    return FailErrno(errno, "change the mode of {}", place.name);
  return {};
}

Result<void> ActModify(const FaultPlan& plan, const FilePlace& place, const FileDescriptor&) {
  return SetMode(place, ParseUint(plan.spec.Text("privilege"), 8).value_or(0644));
}

Result<void> UndoModify(const FaultPlan& plan, const FilePlace& place, const FileDescriptor&) {
  const auto status = StatPlace(place);
  if (!status || std::to_string(status->st_ino) != plan.State("inode")) return {};
  return SetMode(place, ParseUint(plan.State("mode"), 8).value_or(0644));
}

bool IsModified(const FaultPlan& plan, const FilePlace& place, const FileDescriptor&) {
  const auto status = StatPlace(place);
  return status && plan.State("mode") != plan.spec.Text("privilege") &&
         (status->st_mode & 07777) == ParseUint(plan.spec.Text("privilege"), 8).value_or(0);
}

// ---- delete -----------------------------------------------------------------------------------

Result<void> LookDelete(FaultPlan& plan, const FilePlace& place) {
  return NeedsFile(place, plan.spec.Has("dir-name") ? "dir-name" : "file-name", false);
}

Result<void> ActDelete(const FaultPlan& plan, const FilePlace& place, const FileDescriptor&) {
  return Rename(place, place.name, Aside(plan), RENAME_NOREPLACE);
}

Result<void> UndoDelete(const FaultPlan& plan, const FilePlace& place, const FileDescriptor&) {
  if (!Exists(place, Aside(plan))) return {};
  if (Exists(place, place.name))
    FAULTLINE_TRY(Rename(place, place.name, Changed(plan, place), RENAME_NOREPLACE));
  return Rename(place, Aside(plan), place.name, RENAME_NOREPLACE);
}

bool IsDeleted(const FaultPlan& plan, const FilePlace& place, const FileDescriptor&) {
  return !Exists(place, place.name) && Exists(place, Aside(plan));
}

// ---- rename -----------------------------------------------------------------------------------

Result<void> LookRename(FaultPlan& plan, const FilePlace& place) {
  FAULTLINE_TRY(NeedsFile(place, "source-file", false));
  plan.state["inode"] = std::to_string(StatPlace(place)->st_ino);
  return {};
}

Result<void> ActRename(const FaultPlan& plan, const FilePlace& place, const FileDescriptor& root) {
  FAULTLINE_ASSIGN(const FilePlace to, OpenPlace(root, plan.spec.Text("dest-file")));
  return Rename(place, place.name, to.name, RENAME_NOREPLACE, to.folder.get());
}

bool IsRenamed(const FaultPlan& plan, const FilePlace& place, const FileDescriptor& root) {
  const auto to = OpenPlace(root, plan.spec.Text("dest-file"));
  if (!to) return false;
  const auto moved = StatPlace(*to);
  return moved && std::to_string(moved->st_ino) == plan.State("inode") &&
         !Exists(place, place.name);
}

Result<void> UndoRename(const FaultPlan& plan, const FilePlace& place, const FileDescriptor& root) {
  const auto to = OpenPlace(root, plan.spec.Text("dest-file"));
  if (!to) return {};
  const auto moved = StatPlace(*to);
  if (!moved || std::to_string(moved->st_ino) != plan.State("inode")) return {};
  if (Exists(place, place.name))
    FAULTLINE_TRY(Rename(place, place.name, Changed(plan, place), RENAME_NOREPLACE));
  return Rename(*to, to->name, place.name, RENAME_NOREPLACE, place.folder.get());
}

// ---- append -----------------------------------------------------------------------------------

Result<void> LookAppend(FaultPlan& plan, const FilePlace& place) {
  FAULTLINE_TRY(NeedsFile(place, "file-name"));
  const uint64_t bytes =
      (plan.spec.Text("data").size() + 1) * static_cast<uint64_t>(plan.spec.Integer("count"));
  if (bytes > kMaxAppendedBytes)
    return Fail(ErrorCode::kInvalidArgument, "parameters.count: more than {} bytes in all",
                kMaxAppendedBytes);
  plan.state["size"] = std::to_string(StatPlace(place)->st_size);
  return {};
}

Result<void> ActAppend(const FaultPlan& plan, const FilePlace& place, const FileDescriptor&) {
  const FileDescriptor file(
      openat(place.folder.get(), place.name.c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC));
  if (!file) return FailErrno(errno, "open {}", place.name);
  if (!WriteAll(file.get(), Appended(plan))) return FailErrno(errno, "append to {}", place.name);
  (void)fsync(file.get());
  return {};
}

// Cuts out what we appended, as far as it got, and keeps what others wrote behind it.
Result<void> UndoAppend(const FaultPlan& plan, const FilePlace& place, const FileDescriptor&) {
  const FileDescriptor file(
      openat(place.folder.get(), place.name.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!file) return {};
  const auto size = static_cast<off_t>(ParseUint(plan.State("size")).value_or(0));
  const std::string ours = Appended(plan);
  std::string tail;
  char buffer[65536];
  for (off_t at = size;;) {
    const ssize_t n = pread(file.get(), buffer, sizeof buffer, at);
    if (n <= 0) break;
    tail.append(buffer, static_cast<size_t>(n));
    at += n;
    if (tail.size() > 2 * kMaxEditedBytes)
      return Fail(ErrorCode::kResourceExhausted, "{} grew by more than {} bytes", place.name,
                  2 * kMaxEditedBytes);
  }
  if (tail.empty()) return {};
  size_t cut = 0;
  if (tail.starts_with(ours)) {
    cut = ours.size();
  } else if (ours.starts_with(tail)) {  // we were stopped half-way
    cut = tail.size();
  }
  if (cut == 0) return {};
  const std::string kept = tail.substr(cut);
  if (pwrite(file.get(), kept.data(), kept.size(), size) != static_cast<ssize_t>(kept.size()) ||
      ftruncate(file.get(), size + static_cast<off_t>(kept.size())) != 0)
    return FailErrno(errno, "cut {} back", place.name);
  (void)fsync(file.get());
  return {};
}

bool IsAppended(const FaultPlan& plan, const FilePlace& place, const FileDescriptor&) {
  const FileDescriptor file(
      openat(place.folder.get(), place.name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  const std::string ours = Appended(plan);
  std::string there(ours.size(), '\0');
  const auto size = static_cast<off_t>(ParseUint(plan.State("size")).value_or(0));
  return file && !ours.empty() &&
         pread(file.get(), there.data(), there.size(), size) == static_cast<ssize_t>(ours.size()) &&
         there == ours;
}

// ---- replace ----------------------------------------------------------------------------------

Result<void> LookReplace(FaultPlan& plan, const FilePlace& place) {
  FAULTLINE_TRY(NeedsFile(place, "file-name"));
  if (plan.spec.Text("origin-string").empty())
    return Fail(ErrorCode::kInvalidArgument, "parameters.origin-string: is empty");
  FAULTLINE_ASSIGN(const std::string text, ReadWhole(place, place.name, kMaxEditedBytes));
  plan.state["before"] = Checksum(text);
  plan.state["after"] = Checksum(Replaced(plan.spec, text));
  return {};
}

// The stand-in is complete on disk before one atomic exchange puts it in the original's place.
Result<void> ActReplace(const FaultPlan& plan, const FilePlace& place, const FileDescriptor&) {
  FAULTLINE_ASSIGN(const std::string text, ReadWhole(place, place.name, kMaxEditedBytes));
  if (Checksum(text) != plan.State("before"))
    return Fail(ErrorCode::kConflict, "{} changed since it was planned", place.name);
  const auto status = StatPlace(place);
  const FileDescriptor file(openat(place.folder.get(), Aside(plan).c_str(),
                                   O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  if (!file || !status) return FailErrno(errno, "make {}", Aside(plan));
  if (!WriteAll(file.get(), Replaced(plan.spec, text)) ||
      fchown(file.get(), status->st_uid, status->st_gid) != 0 ||
      fchmod(file.get(), status->st_mode & 07777) != 0 || fsync(file.get()) != 0)
    return FailErrno(errno, "write {}", Aside(plan));
  return Rename(place, Aside(plan), place.name, RENAME_EXCHANGE);
}

Result<void> UndoReplace(const FaultPlan& plan, const FilePlace& place, const FileDescriptor&) {
  if (!Exists(place, Aside(plan))) return {};
  FAULTLINE_ASSIGN(const std::string aside, ReadWhole(place, Aside(plan), kMaxEditedBytes));
  const bool exchanged = Checksum(aside) == plan.State("before");
  if (exchanged && Exists(place, place.name)) {
    FAULTLINE_TRY(Rename(place, Aside(plan), place.name, RENAME_EXCHANGE));
    FAULTLINE_ASSIGN(const std::string stand_in, ReadWhole(place, Aside(plan), kMaxEditedBytes));
    if (Checksum(stand_in) != plan.State("after"))
      return Rename(place, Aside(plan), Changed(plan, place), RENAME_NOREPLACE);
  } else if (exchanged) {  // the stand-in was removed
    return Rename(place, Aside(plan), place.name, RENAME_NOREPLACE);
  }
  if (unlinkat(place.folder.get(), Aside(plan).c_str(), 0) != 0 && errno != ENOENT)
    return FailErrno(errno, "remove {}", Aside(plan));
  return {};
}

bool IsReplaced(const FaultPlan& plan, const FilePlace& place, const FileDescriptor&) {
  const auto text = ReadWhole(place, place.name, kMaxEditedBytes);
  return text && plan.State("before") != plan.State("after") &&
         Checksum(*text) == plan.State("after");
}

constexpr FileAction kCreate = {LookCreate, ActCreate, UndoCreate, IsCreated, "exists"};
constexpr FileAction kModify = {LookModify, ActModify, UndoModify, IsModified, "has the mode"};
constexpr FileAction kDelete = {LookDelete, ActDelete, UndoDelete, IsDeleted, "is missing"};
constexpr FileAction kRename = {LookRename, ActRename, UndoRename, IsRenamed, "has the other name"};
constexpr FileAction kAppend = {LookAppend, ActAppend, UndoAppend, IsAppended, "has grown"};
constexpr FileAction kReplace = {LookReplace, ActReplace, UndoReplace, IsReplaced, "is replaced"};

const FileAction& ActionOf(const FaultSpec& spec) {
  if (spec.fault == "file_create") return kCreate;
  if (spec.fault == "file_modify") return kModify;
  if (spec.fault == "file_delete") return kDelete;
  if (spec.fault == "file_rename") return kRename;
  return spec.fault == "file_append" ? kAppend : kReplace;
}

class FileFault final : public Fault {
 public:
  Result<FaultPlan> Plan(const FaultSpec& spec, const FaultHost& host) override {
    FaultPlan plan;
    plan.spec = spec;
    FAULTLINE_ASSIGN(const std::string whom, RememberFileTarget(spec.target, host, plan));
    std::string parameter = spec.Has("source-file") ? "source-file" : "file-name";
    if (!spec.Has(parameter)) parameter = "dir-name";
    if (!spec.Has(parameter) || (spec.Has("file-name") && spec.Has("dir-name")))
      return Fail(ErrorCode::kInvalidArgument,
                  "parameters.file-name: needed, or dir-name, and not both");
    const std::string path = spec.Text(parameter);
    FAULTLINE_TRY(CheckFaultPath(parameter, path, host));
    if (spec.Has("dest-file"))
      FAULTLINE_TRY(CheckFaultPath("dest-file", spec.Text("dest-file"), host));
    plan.state["path"] = path;
    plan.state["tag"] = FaultTag(host.journal_folder, spec.uid);
    plan.state["is_folder"] = parameter == "dir-name" ? "1" : "";
    // Each would undo the other one's change: one fault at a time holds a file.
    for (const FaultPlan& other : host.others) {
      const bool same_place = other.State("mount_namespace") == plan.State("mount_namespace");
      const bool same_file =
          !path.empty() && (other.State("path") == path || other.spec.Text("dest-file") == path);
      if (other.spec.fault.starts_with("file_") && same_place && same_file)
        return Fail(ErrorCode::kConflict, "parameters.{}: fault {} holds {}", parameter,
                    other.spec.uid, path);
    }
    FAULTLINE_ASSIGN(const FileDescriptor root, OpenTargetRoot(plan, host));
    FAULTLINE_ASSIGN(const FilePlace place, OpenPlace(root, path));
    FAULTLINE_TRY(ActionOf(spec).look(plan, place));
    plan.victims.push_back(fmt::format("{}: {} {}", whom, spec.fault, path));
    return plan;
  }

  Result<void> Inject(const FaultPlan& plan, const FaultHost& host) override {
    FAULTLINE_ASSIGN(const FileDescriptor root, OpenTargetRoot(plan, host));
    FAULTLINE_ASSIGN(const FilePlace place, OpenPlace(root, plan.State("path")));
    return ActionOf(plan.spec).act(plan, place, root);
  }

  Result<v1::Effect> Verify(const FaultPlan& plan, const FaultHost& host) override {
    FAULTLINE_ASSIGN(const FileDescriptor root, OpenTargetRoot(plan, host));
    FAULTLINE_ASSIGN(const FilePlace place, OpenPlace(root, plan.State("path")));
    const FileAction& action = ActionOf(plan.spec);
    const bool done = action.is_done(plan, place, root);
    v1::Effect effect;
    AddMeasurement(effect, plan, "changed_files", done ? 1 : 0, 1);
    effect.set_verdict(done ? v1::VERDICT_TRUE : v1::VERDICT_FALSE);
    effect.set_reason(
        fmt::format("{} {}{}", plan.State("path"), done ? "" : "not: ", action.effect));
    return effect;
  }

  Result<void> Recover(const FaultPlan& plan, const FaultHost& host) override {
    const auto root = OpenTargetRoot(plan, host);
    if (!root) return Gone(root.error());
    const auto place = OpenPlace(*root, plan.State("path"));
    if (!place) return Gone(place.error());
    return ActionOf(plan.spec).undo(plan, *place, *root);
  }

  std::vector<std::string> Residue(const FaultPlan& plan, const FaultHost& host) override {
    std::vector<std::string> residue;
    const auto root = OpenTargetRoot(plan, host);
    if (!root) return residue;
    const auto place = OpenPlace(*root, plan.State("path"));
    if (!place) return residue;
    if (ActionOf(plan.spec).is_done(plan, *place, *root))
      residue.push_back(fmt::format("{}: {}", plan.State("path"), ActionOf(plan.spec).effect));
    for (const std::string& name : {Aside(plan), Changed(plan, *place)}) {
      if (Exists(*place, name))
        residue.push_back(fmt::format("{} beside {}", name, plan.State("path")));
    }
    return residue;
  }

 private:
  // Its container is gone, and with it the file.
  static Result<void> Gone(const Error& error) {
    if (error.code == ErrorCode::kNotFound) return {};
    return std::unexpected(error);
  }
};

std::unique_ptr<Fault> Make() { return std::make_unique<FileFault>(); }

constexpr ParameterRow kFileName = {.name = "file-name", .doc = "the file, by its absolute path"};
constexpr ParameterRow kDirName = {.name = "dir-name", .doc = "a folder instead"};
constexpr ParameterRow kPlaceRows[] = {kFileName, kDirName};
constexpr ParameterRow kModifyRows[] = {
    {.name = "file-name", .doc = "the file, by its absolute path", .required = true},
    {.name = "privilege", .doc = "its mode, octal: 000, 777", .required = true},
};
constexpr ParameterRow kRenameRows[] = {
    {.name = "source-file", .doc = "the file or folder", .required = true},
    {.name = "dest-file", .doc = "its other name", .required = true},
};
constexpr ParameterRow kAppendRows[] = {
    {.name = "file-name", .doc = "the file, by its absolute path", .required = true},
    {.name = "data", .doc = "a line to append", .required = true},
    {.name = "count",
     .kind = ParameterKind::kInteger,
     .fallback = "1",
     .doc = "how often",
     .min = 1,
     .max = 1e6},
};
constexpr ParameterRow kReplaceRows[] = {
    {.name = "file-name", .doc = "the file, by its absolute path", .required = true},
    {.name = "origin-string", .doc = "what is replaced", .required = true},
    {.name = "dest-string", .doc = "by what", .required = true},
    {.name = "line",
     .kind = ParameterKind::kInteger,
     .fallback = "0",
     .doc = "only in that line; 0: everywhere",
     .min = 0,
     .max = 1e9},
};

}  // namespace

extern const FaultRow kFileCreate = {
    .name = "file_create",
    .doc = "Makes an empty file or a folder.",
    .parameters = kPlaceRows,
    .make = Make,
    .example = "file-name={folder}/created",
};
extern const FaultRow kFileModify = {
    .name = "file_modify",
    .doc = "Changes the mode of a file.",
    .parameters = kModifyRows,
    .make = Make,
    .example = "file-name={file} privilege=000",
};
extern const FaultRow kFileDelete = {
    .name = "file_delete",
    .doc = "A file or folder is missing.",
    .parameters = kPlaceRows,
    .make = Make,
    .example = "file-name={file}",
};
extern const FaultRow kFileRename = {
    .name = "file_rename",
    .doc = "A file or folder has another name.",
    .parameters = kRenameRows,
    .make = Make,
    .example = "source-file={file} dest-file={folder}/renamed",
};
extern const FaultRow kFileAppend = {
    .name = "file_append",
    .doc = "A file has more lines than it should.",
    .parameters = kAppendRows,
    .make = Make,
    .example = "file-name={file} data=appended count=3",
};
extern const FaultRow kFileReplace = {
    .name = "file_replace",
    .doc = "A text in a file reads otherwise.",
    .parameters = kReplaceRows,
    .make = Make,
    .example = "file-name={file} origin-string=two dest-string=2222",
};

}  // namespace faultline
