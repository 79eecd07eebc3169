// Files of the target that answer late, fail, lie about themselves or hold something else: Chaos
// Mesh's IOChaos, by path glob, method and share, on processes that run already and without
// mounting anything. The calls of the target's processes are told to FUSE's methods; memory-mapped
// files are not seen, nor what io_uring does.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>

#include <algorithm>
#include <cstring>
#include <random>

#include "agent/faults/traced_fault.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace json = boost::json;

// Where a call's file is: a descriptor, or a path below a folder's descriptor (-1: the working
// one).
struct FileCall {
  std::string_view name;
  std::string_view method;
  int descriptor = -1;
  int folder = -1;
  int path = -1;
  int flags = -1;  // open's: O_CREAT makes it `create`
};
constexpr FileCall kFileCalls[] = {
    {"read", "read", 0},
    {"pread64", "read", 0},
    {"readv", "read", 0},
    {"preadv", "read", 0},
    {"preadv2", "read", 0},
    {"write", "write", 0},
    {"pwrite64", "write", 0},
    {"writev", "write", 0},
    {"pwritev", "write", 0},
    {"pwritev2", "write", 0},
    {"fsync", "fsync", 0},
    {"fdatasync", "fsync", 0},
    {"close", "flush", 0},
    {"fstat", "getattr", 0},
    {"getdents64", "readdir", 0},
    {"getdents", "readdir", 0},
    {"ftruncate", "setattr", 0},
    {"fchmod", "setattr", 0},
    {"fchown", "setattr", 0},
    {"fallocate", "setattr", 0},
    {"flock", "setlk", 0},
    {"fstatfs", "statfs", 0},
    {"fgetxattr", "getxattr", 0},
    {"fsetxattr", "setxattr", 0},
    {"open", "open", -1, -1, 0, 1},
    {"openat", "open", -1, 0, 1, 2},
    {"creat", "create", -1, -1, 0},
    {"stat", "getattr", -1, -1, 0},
    {"lstat", "getattr", -1, -1, 0},
    {"newfstatat", "getattr", -1, 0, 1},
    {"statx", "getattr", -1, 0, 1},
    {"access", "access", -1, -1, 0},
    {"faccessat", "access", -1, 0, 1},
    {"faccessat2", "access", -1, 0, 1},
    {"mkdir", "mkdir", -1, -1, 0},
    {"mkdirat", "mkdir", -1, 0, 1},
    {"mknod", "mknod", -1, -1, 0},
    {"mknodat", "mknod", -1, 0, 1},
    {"unlink", "unlink", -1, -1, 0},
    {"unlinkat", "unlink", -1, 0, 1},
    {"rmdir", "rmdir", -1, -1, 0},
    {"rename", "rename", -1, -1, 0},
    {"renameat", "rename", -1, 0, 1},
    {"renameat2", "rename", -1, 0, 1},
    {"link", "link", -1, -1, 0},
    {"linkat", "link", -1, 0, 1},
    {"symlink", "symlink", -1, -1, 1},
    {"symlinkat", "symlink", -1, 1, 2},
    {"readlink", "readlink", -1, -1, 0},
    {"readlinkat", "readlink", -1, 0, 1},
    {"truncate", "setattr", -1, -1, 0},
    {"chmod", "setattr", -1, -1, 0},
    {"fchmodat", "setattr", -1, 0, 1},
    {"chown", "setattr", -1, -1, 0},
    {"fchownat", "setattr", -1, 0, 1},
    {"utimensat", "setattr", -1, 0, 1},
    {"statfs", "statfs", -1, -1, 0},
    {"getxattr", "getxattr", -1, -1, 0},
    {"setxattr", "setxattr", -1, -1, 0},
    {"listxattr", "listxattr", -1, -1, 0},
    {"removexattr", "removexattr", -1, -1, 0},
};
// Of Chaos Mesh's list, those that no single call of a process means.
constexpr std::string_view kNoCall[] = {"lookup",   "forget", "release", "releasedir",
                                        "fsyncdir", "getlk",  "bmap"};

struct Attributes {
  json::object set;
  double Or(std::string_view name, double otherwise) const {
    const json::value* value = set.if_contains(name);
    return value != nullptr && value->is_number() ? value->to_number<double>() : otherwise;
  }
  bool Has(std::string_view name) const { return set.contains(name); }
};

struct IoAsked {
  std::string volume;
  std::vector<std::string> globs;
  double percent = 100;
  std::map<uint64_t, const FileCall*> calls;
  std::vector<std::string> methods;
  int error_number = 0;
  int64_t delay_ns = 0;
  Attributes attributes;
  bool mistakes = false, fills_random = false;
  int64_t max_occurrences = 1, max_length = 1;
};

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

Result<json::object> ReadObject(const FaultSpec& spec, const std::string& name) {
  boost::system::error_code error;
  json::value value = json::parse(spec.Text(name), error);
  if (error || !value.is_object())
    return Fail(ErrorCode::kInvalidArgument, "parameters.{}: no JSON object", name);
  return value.get_object();
}

Result<void> ReadMistake(const FaultSpec& spec, IoAsked& asked) {
  FAULTLINE_ASSIGN(const json::object mistake, ReadObject(spec, "mistake"));
  const auto number = [&](std::string_view name) {
    const json::value* value = mistake.if_contains(name);
    return value != nullptr && value->is_int64() ? value->get_int64() : 0;
  };
  const json::value* filling = mistake.if_contains("filling");
  asked.mistakes = true;
  asked.fills_random = filling != nullptr && *filling == "random";
  asked.max_occurrences = number("maxOccurrences");
  asked.max_length = number("maxLength");
  if (filling == nullptr || (*filling != "zero" && *filling != "random") ||
      asked.max_occurrences < 1 || asked.max_length < 1)
    return Fail(ErrorCode::kInvalidArgument,
                "parameters.mistake: needs filling (zero, random), maxOccurrences and maxLength");
  return {};
}

Result<void> ReadAttributes(const FaultSpec& spec, IoAsked& asked) {
  static constexpr std::string_view kKnown[] = {"ino",   "size", "blocks", "perm",
                                                "nlink", "uid",  "gid",    "kind"};
  FAULTLINE_ASSIGN(asked.attributes.set, ReadObject(spec, "attr"));
  for (const auto& [key, value] : asked.attributes.set) {
    if (std::find(std::begin(kKnown), std::end(kKnown), key) == std::end(kKnown))
      return Fail(ErrorCode::kInvalidArgument,
                  "parameters.attr: {} cannot be overridden (ino, size, blocks, perm, nlink, uid, "
                  "gid can)",
                  std::string_view(key));
  }
  if (asked.attributes.Has("kind"))
    return Fail(ErrorCode::kUnsupported, "unsupported: parameters.attr: kind");
  return {};
}

Result<IoAsked> Read(const FaultSpec& spec) {
  IoAsked asked;
  asked.volume = spec.Text("volumePath");
  while (asked.volume.size() > 1 && asked.volume.ends_with('/')) asked.volume.pop_back();
  if (!asked.volume.starts_with('/'))
    return Fail(ErrorCode::kInvalidArgument, "parameters.volumePath: '{}' is no absolute path",
                asked.volume);
  if (const std::string path = spec.Text("path"); !path.empty()) {
    asked.globs.push_back(path);
    // Any depth is also none at all: /a/**/* means /a/b, too.
    if (const size_t any = path.find("/**/"); any != std::string::npos)
      asked.globs.push_back(std::string(path).replace(any, 4, "/"));
  }
  asked.percent = spec.Number("percent");
  for (const std::string& method : spec.List("methods")) asked.methods.push_back(Lower(method));
  if (asked.methods.empty() && spec.fault == "io_mistake") asked.methods = {"read", "write"};
  if (spec.fault == "io_attr_override") asked.methods = {"getattr"};
  for (const std::string& method : asked.methods) {
    const bool known = std::any_of(std::begin(kFileCalls), std::end(kFileCalls),
                                   [&](const FileCall& call) { return call.method == method; }) ||
                       method == "opendir";
    if (!known && std::find(std::begin(kNoCall), std::end(kNoCall), method) != std::end(kNoCall))
      return Fail(ErrorCode::kUnsupported,
                  "unsupported: parameters.methods: no system call means {}", method);
    if (!known)
      return Fail(ErrorCode::kInvalidArgument, "parameters.methods: '{}' is no method", method);
  }
  for (const FileCall& call : kFileCalls) {
    const bool wanted =
        asked.methods.empty() || (call.flags >= 0) ||
        std::find(asked.methods.begin(), asked.methods.end(), call.method) != asked.methods.end();
    const long number = TracedCallNumber(call.name);
    if (wanted && number >= 0) asked.calls[static_cast<uint64_t>(number)] = &call;
  }
  if (spec.fault == "io_fault") {
    asked.error_number = ErrorNumber(spec.Text("errno"));
    if (asked.error_number == 0)
      return Fail(ErrorCode::kInvalidArgument, "parameters.errno: '{}' is no errno",
                  spec.Text("errno"));
  }
  asked.delay_ns = spec.DurationNs("delay");
  if (spec.fault == "io_mistake") FAULTLINE_TRY(ReadMistake(spec, asked));
  if (spec.fault == "io_attr_override") FAULTLINE_TRY(ReadAttributes(spec, asked));
  return asked;
}

std::string ReadLink(const std::string& path) {
  char text[4096];
  const ssize_t n = readlink(path.c_str(), text, sizeof text);
  return n > 0 ? std::string(text, static_cast<size_t>(n)) : "";
}

// Without "." and "..", as the words say (symbolic links are not followed).
std::string Plain(const std::string& path) {
  std::vector<std::string_view> parts;
  for (const std::string_view part : Split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  std::string plain;
  for (const std::string_view part : parts) plain += "/" + std::string(part);
  return plain.empty() ? "/" : plain;
}

class IoRules final : public CallRules {
 public:
  IoRules(IoAsked asked, ServiceCounts& counts) : asked_(std::move(asked)), counts_(counts) {}

  CallVerdict OnBegin(const TracedCall& call) override {
    counts_.seen.fetch_add(1);
    const auto at = asked_.calls.find(call.number);
    if (at == asked_.calls.end() || !MethodFits(*at->second, call) || !PathFits(*at->second, call))
      return {};
    if (std::uniform_real_distribution<double>(0, 100)(random_) >= asked_.percent) return {};
    counts_.met.fetch_add(1);
    if (asked_.mistakes && at->second->method == "write") SpoilWrite(call);
    return {asked_.error_number, asked_.delay_ns,
            asked_.mistakes || !asked_.attributes.set.empty()};
  }

  void OnEnd(const TracedCall& call, int64_t result) override {
    const FileCall& file_call = *asked_.calls.at(call.number);
    bool done = asked_.delay_ns > 0;
    if (asked_.error_number != 0) done = result == -asked_.error_number;
    if (asked_.mistakes)
      done = file_call.method == "write" ? Restore(call) : SpoilRead(call, result);
    if (!asked_.attributes.set.empty()) done = result == 0 && Override(file_call, call);
    if (done) counts_.done.fetch_add(1);
  }

 private:
  bool MethodFits(const FileCall& file_call, const TracedCall& call) const {
    if (asked_.methods.empty()) return true;
    std::string_view method = file_call.method;
    if (file_call.flags >= 0) {
      const uint64_t flags = call.args[file_call.flags];
      if ((flags & O_CREAT) != 0) method = "create";
      if ((flags & O_DIRECTORY) != 0) method = "opendir";
    }
    return std::find(asked_.methods.begin(), asked_.methods.end(), method) != asked_.methods.end();
  }

  bool PathFits(const FileCall& file_call, const TracedCall& call) const {
    std::string path;
    const auto descriptor = [&](uint64_t number) {
      return ReadLink(fmt::format("/proc/{}/fd/{}", call.tid, static_cast<int>(number)));
    };
    if (file_call.descriptor >= 0) {
      path = descriptor(call.args[file_call.descriptor]);
    } else {
      const auto text = ReadText(call.tid, call.args[file_call.path]);
      if (!text) return false;
      path = *text;
      if (path.empty() && file_call.folder >= 0) {  // fstatat(fd, "", AT_EMPTY_PATH)
        path = descriptor(call.args[file_call.folder]);
      } else if (!path.starts_with('/')) {
        const int folder =
            file_call.folder < 0 ? AT_FDCWD : static_cast<int>(call.args[file_call.folder]);
        const std::string base = folder == AT_FDCWD
                                     ? ReadLink(fmt::format("/proc/{}/cwd", call.tid))
                                     : descriptor(static_cast<uint64_t>(folder));
        path = base + "/" + path;
      }
    }
    if (!path.starts_with('/')) return false;  // a socket, a pipe
    path = Plain(path);
    if (path != asked_.volume && !path.starts_with(asked_.volume + "/") &&
        !GlobMatch(asked_.volume + "/*", path) && asked_.volume != "/")
      return false;
    return asked_.globs.empty() ||
           std::any_of(asked_.globs.begin(), asked_.globs.end(),
                       [&](const std::string& glob) { return GlobMatch(glob, path); });
  }

  void Spoil(std::string& bytes) {
    const auto many =
        1 + static_cast<int64_t>(random_() % static_cast<uint64_t>(asked_.max_occurrences));
    for (int64_t i = 0; i < many && !bytes.empty(); ++i) {
      const size_t from = random_() % bytes.size();
      const size_t length =
          1 + random_() % static_cast<uint64_t>(std::min<int64_t>(asked_.max_length, 1 << 20));
      for (size_t at = from; at < std::min(bytes.size(), from + length); ++at)
        bytes[at] = asked_.fills_random ? static_cast<char>(random_() >> 8) : '\0';
    }
  }

  bool SpoilRead(const TracedCall& call, int64_t result) {
    if (result <= 0 || result > kMaxSpoiled) return false;
    std::string bytes(static_cast<size_t>(result), '\0');
    if (!ReadMemory(call.tid, call.args[1], bytes.data(), bytes.size())) return false;
    Spoil(bytes);
    return WriteMemory(call.tid, call.args[1], bytes.data(), bytes.size());
  }

  // The process' own memory is as before when the call has ended.
  void SpoilWrite(const TracedCall& call) {
    const uint64_t size = call.args[2];
    if (size == 0 || size > static_cast<uint64_t>(kMaxSpoiled)) return;
    std::string bytes(size, '\0');
    if (!ReadMemory(call.tid, call.args[1], bytes.data(), bytes.size())) return;
    originals_[call.tid] = bytes;
    Spoil(bytes);
    if (!WriteMemory(call.tid, call.args[1], bytes.data(), bytes.size()))
      originals_.erase(call.tid);
  }

  bool Restore(const TracedCall& call) {
    const auto at = originals_.find(call.tid);
    if (at == originals_.end()) return false;
    const bool restored = WriteMemory(call.tid, call.args[1], at->second.data(), at->second.size());
    originals_.erase(at);
    return restored;
  }

  bool Override(const FileCall& file_call, const TracedCall& call) const {
    const Attributes& to = asked_.attributes;
    if (file_call.name == "statx") {
      struct statx status{};
      if (!ReadMemory(call.tid, call.args[4], &status, sizeof status)) return false;
      status.stx_ino = static_cast<uint64_t>(to.Or("ino", static_cast<double>(status.stx_ino)));
      status.stx_size = static_cast<uint64_t>(to.Or("size", static_cast<double>(status.stx_size)));
      status.stx_blocks =
          static_cast<uint64_t>(to.Or("blocks", static_cast<double>(status.stx_blocks)));
      status.stx_mode = static_cast<uint16_t>(
          (status.stx_mode & S_IFMT) |
          (static_cast<unsigned>(to.Or("perm", status.stx_mode & 07777)) & 07777));
      status.stx_nlink = static_cast<uint32_t>(to.Or("nlink", status.stx_nlink));
      status.stx_uid = static_cast<uint32_t>(to.Or("uid", status.stx_uid));
      status.stx_gid = static_cast<uint32_t>(to.Or("gid", status.stx_gid));
      return WriteMemory(call.tid, call.args[4], &status, sizeof status);
    }
    const uint64_t where = call.args[file_call.name == "newfstatat" ? 2 : 1];
    struct stat status{};
    if (!ReadMemory(call.tid, where, &status, sizeof status)) return false;
    status.st_ino = static_cast<ino_t>(to.Or("ino", static_cast<double>(status.st_ino)));
    status.st_size = static_cast<off_t>(to.Or("size", static_cast<double>(status.st_size)));
    status.st_blocks =
        static_cast<blkcnt_t>(to.Or("blocks", static_cast<double>(status.st_blocks)));
    status.st_mode = (status.st_mode & S_IFMT) |
                     (static_cast<unsigned>(to.Or("perm", status.st_mode & 07777)) & 07777);
    status.st_nlink = static_cast<nlink_t>(to.Or("nlink", static_cast<double>(status.st_nlink)));
    status.st_uid = static_cast<uid_t>(to.Or("uid", status.st_uid));
    status.st_gid = static_cast<gid_t>(to.Or("gid", status.st_gid));
    return WriteMemory(call.tid, where, &status, sizeof status);
  }

  static constexpr int64_t kMaxSpoiled = int64_t{16} << 20;
  const IoAsked asked_;
  ServiceCounts& counts_;
  std::minstd_rand random_{std::random_device()()};
  std::map<pid_t, std::string> originals_;
};

class IoFault final : public TracedFault {
 protected:
  Result<std::string> Describe(const FaultSpec& spec) const override {
    FAULTLINE_ASSIGN(const IoAsked asked, Read(spec));
    std::string what = fmt::format("{:g} % of ", asked.percent);
    for (const std::string& method : asked.methods) what += method + " ";
    if (asked.methods.empty()) what += "all methods ";
    what += "on " + (asked.globs.empty() ? asked.volume : asked.globs.front());
    if (asked.error_number != 0) what += fmt::format(": {}", strerrorname_np(asked.error_number));
    if (asked.delay_ns > 0)
      what += fmt::format(": {:g} ms later", static_cast<double>(asked.delay_ns) / 1e6);
    return what + (asked.mistakes ? ": wrong data" : "") +
           (asked.attributes.set.empty() ? "" : ": other attributes");
  }
};

std::unique_ptr<Fault> Make() { return std::make_unique<IoFault>(); }

constexpr ParameterRow kVolume = {
    .name = "volumePath", .doc = "only below this folder", .required = true};
constexpr ParameterRow kPath = {.name = "path", .doc = "glob of paths; all unless given"};
constexpr ParameterRow kPercent = {.name = "percent",
                                   .kind = ParameterKind::kPercent,
                                   .fallback = "100",
                                   .doc = "how many of them"};
constexpr ParameterRow kMethods = {.name = "methods",
                                   .kind = ParameterKind::kList,
                                   .doc = "read, write, open …; all unless given"};
constexpr ParameterRow kLatencyRows[] = {
    kVolume,
    kPath,
    kPercent,
    kMethods,
    {.name = "delay",
     .kind = ParameterKind::kDuration,
     .doc = "how long they wait",
     .required = true,
     .min = 1000,
     .max = 60e9},
};
constexpr ParameterRow kFaultRows[] = {
    kVolume, kPath, kPercent, kMethods, {.name = "errno", .doc = "5, or EIO", .required = true},
};
constexpr ParameterRow kAttrRows[] = {
    kVolume,
    kPath,
    kPercent,
    kMethods,
    {.name = "attr", .doc = "JSON: ino size blocks perm nlink uid gid", .required = true},
};
constexpr ParameterRow kMistakeRows[] = {
    kVolume,
    kPath,
    kPercent,
    kMethods,
    {.name = "mistake", .doc = "JSON: filling, maxOccurrences, maxLength", .required = true},
};

}  // namespace

Result<void> ServeIo(const ServiceCall& call) {
  FAULTLINE_ASSIGN(IoAsked asked, Read(call.plan.spec));
  IoRules rules(std::move(asked), *call.counts);
  return ServeTraced(call, rules);
}

extern const FaultRow kIoLatency = {
    .name = "io_latency",
    .doc = "File operations of the target wait.",
    .parameters = kLatencyRows,
    .make = Make,
    .example = "volumePath={folder} path={folder}/**/* methods=read delay=20ms",
};
extern const FaultRow kIoFault = {
    .name = "io_fault",
    .doc = "File operations of the target fail.",
    .parameters = kFaultRows,
    .make = Make,
    .example = "volumePath={folder} path={folder}/**/* methods=read errno=5",
};
extern const FaultRow kIoAttrOverride = {
    .name = "io_attr_override",
    .doc = "Files have other attributes than they have.",
    .parameters = kAttrRows,
    .make = Make,
    .example = "volumePath={folder} attr={\"perm\":72}",
};
extern const FaultRow kIoMistake = {
    .name = "io_mistake",
    .doc = "Files hold something else than they hold.",
    .parameters = kMistakeRows,
    .make = Make,
    .example =
        "volumePath={folder} methods=read "
        "mistake={\"filling\":\"zero\",\"maxOccurrences\":1,\"maxLength\":10}",
};

}  // namespace faultline
