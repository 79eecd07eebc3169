// Kubernetes:  <pods_root>/<namespace>_<pod>_<uid>/<container>/<restart>.log, rotated to
// <restart>.log.<yyyymmdd-hhmmss>
//              <containers_root>/<pod>_<namespace>_<container>-<id>.log, links to the above
// Docker:      <docker_root>/<id>/<id>-json.log, rotated to <id>-json.log.1 …
// Files:       what the globs say; a rotated sibling keeps the name of the live file as a prefix.
#include "agent/logs/log_folders.h"

#include <algorithm>

#include "common/text.h"
#include "faultline/v1/config.pb.h"

namespace faultline {
namespace {

bool IsDigits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Takes the ending off: what is left is the name before compression.
bool TakeGzipEnding(std::string_view& name) {
  constexpr std::string_view kEnding = ".gz";
  if (!name.ends_with(kEnding)) return false;
  name.remove_suffix(kEnding.size());
  return true;
}

bool IsCompressedOrPartial(std::string_view name) {
  for (const std::string_view suffix : {".gz", ".tmp", ".bz2", ".xz", ".zst", ".zip", ".swp"}) {
    if (name.ends_with(suffix)) return true;
  }
  return false;
}

std::string Below(std::string_view folder, std::string_view name) {
  return folder.ends_with('/') ? fmt::format("{}{}", folder, name)
                               : fmt::format("{}/{}", folder, name);
}

std::vector<std::string> ListOrNothing(const FsRoot& fs, const std::string& path) {
  auto names = fs.List(path);
  return names ? std::move(*names) : std::vector<std::string>();
}

class Finder {
 public:
  explicit Finder(const FsRoot& fs) : fs_(fs) {}

  void Pods(const std::string& root) {
    found_.parents.push_back(root);
    for (const std::string& pod_folder : ListOrNothing(fs_, root)) {
      const auto parts = Split(pod_folder, '_');
      if (parts.size() != 3) continue;
      const std::string path = Below(root, pod_folder);
      found_.parents.push_back(path);
      for (const std::string& container : ListOrNothing(fs_, path)) {
        Add({.path = Below(path, container),
             .kind = LogFolderKind::kPodContainer,
             .name_space = std::string(parts[0]),
             .pod = std::string(parts[1]),
             .container = container});
      }
    }
  }

  void Docker(const std::string& root) {
    found_.parents.push_back(root);
    for (const std::string& id : ListOrNothing(fs_, root)) {
      Add({.path = Below(root, id), .kind = LogFolderKind::kDocker, .container = id.substr(0, 12)});
    }
  }

  void Files(const std::string& pattern) {
    const size_t slash = pattern.rfind('/');
    Expand(slash == 0 ? "/" : pattern.substr(0, slash), pattern.substr(slash + 1));
  }

  void Add(LogFolder folder) {
    if (found_.folders.size() >= kMaxLogFolders) {
      found_.truncated = true;
      return;
    }
    found_.folders.push_back(std::move(folder));
  }

  FoundLogFolders Take() { return std::move(found_); }

 private:
  static bool HasWildcard(std::string_view text) {
    return text.find_first_of("*?[") != std::string_view::npos;
  }

  // Folders that match the pattern of a folder, part by part.
  void Expand(const std::string& folder_pattern, const std::string& glob) {
    std::vector<std::string> matches = {"/"};
    for (const std::string_view part : Split(folder_pattern, '/')) {
      if (part.empty()) continue;
      std::vector<std::string> next;
      for (const std::string& base : matches) {
        if (!HasWildcard(part)) {
          next.push_back(Below(base, part));
          continue;
        }
        found_.parents.push_back(base);
        for (const std::string& name : ListOrNothing(fs_, base)) {
          if (GlobMatch(part, name) && next.size() < kMaxLogFolders)
            next.push_back(Below(base, name));
        }
      }
      matches = std::move(next);
    }
    for (const std::string& path : matches) {
      const auto same = std::ranges::find_if(found_.folders, [&](const LogFolder& folder) {
        return folder.kind == LogFolderKind::kFiles && folder.path == path;
      });
      if (same != found_.folders.end()) {
        same->globs.push_back(glob);
      } else {
        Add({.path = path, .kind = LogFolderKind::kFiles, .globs = {glob}});
      }
    }
  }

  const FsRoot& fs_;
  FoundLogFolders found_;
};

// `12.log`, or `12.log.20261120-120000` with `rotated` set; the length of `12.log`.
std::optional<size_t> PodLogStem(std::string_view name, bool& rotated) {
  const size_t dot = name.find(".log");
  if (dot == std::string_view::npos || !IsDigits(name.substr(0, dot))) return std::nullopt;
  const size_t stem = dot + 4;
  rotated = name.size() > stem;
  if (rotated && name[stem] != '.') return std::nullopt;
  return stem;
}

std::optional<LogFileRole> PodRole(const LogFolder& folder, std::string_view name) {
  LogFileRole role;
  role.compressed = TakeGzipEnding(name);
  const auto stem = PodLogStem(name, role.rotated);
  if (!stem || (role.compressed && !role.rotated) || IsCompressedOrPartial(name))
    return std::nullopt;
  role.owns_folder = true;
  role.order = name;
  role.only_if_known = role.compressed;
  role.name_space = folder.name_space;
  role.pod = folder.pod;
  role.container = folder.container;
  role.job = fmt::format("{}/{}", folder.name_space, folder.container);
  role.filename = Below(folder.path, name.substr(0, *stem));
  return role;
}

// <pod>_<namespace>_<container>-<id>.log
std::optional<LogFileRole> ContainerLinkRole(const LogFolder& folder, std::string_view name) {
  if (!name.ends_with(".log")) return std::nullopt;
  const auto parts = Split(name.substr(0, name.size() - 4), '_');
  if (parts.size() != 3) return std::nullopt;
  LogFileRole role;
  role.pod = parts[0];
  role.name_space = parts[1];
  role.container = parts[2].substr(0, parts[2].rfind('-'));
  role.job = fmt::format("{}/{}", role.name_space, role.container);
  role.filename = Below(folder.path, name);
  return role;
}

std::optional<LogFileRole> DockerRole(const LogFolder& folder, std::string_view name) {
  const bool compressed = TakeGzipEnding(name);
  const size_t at = name.find("-json.log");
  if (at == std::string_view::npos) return std::nullopt;
  const size_t stem = at + std::string_view("-json.log").size();
  LogFileRole role;
  role.rotated = name.size() > stem;
  role.compressed = role.only_if_known = compressed;
  role.owns_folder = true;
  if ((compressed && !role.rotated) || IsCompressedOrPartial(name)) return std::nullopt;
  if (role.rotated && (name[stem] != '.' || !IsDigits(name.substr(stem + 1)))) return std::nullopt;
  // The higher the number, the older.
  const auto number = role.rotated ? ParseUint(name.substr(stem + 1)) : std::nullopt;
  role.order =
      fmt::format("{:09}", 999'999'999 - std::min<uint64_t>(number.value_or(0), 999'999'999));
  role.container = folder.container;
  role.job = "docker";
  role.filename = Below(folder.path, name.substr(0, stem));
  role.parser = "docker";
  return role;
}

std::optional<LogFileRole> PlainRole(const LogFolder& folder, std::string_view name) {
  const auto matches = [&](std::string_view candidate) {
    return std::ranges::any_of(folder.globs,
                               [&](const std::string& glob) { return GlobMatch(glob, candidate); });
  };
  LogFileRole role;
  role.job = "files";
  role.parser = "plain";
  role.filename = Below(folder.path, name);
  if (matches(name)) return role;
  // logrotate appends .1 or -20261120 to the name of the live file.
  for (size_t end = name.size(); end-- > 1;) {
    if ((name[end] != '.' && name[end] != '-') || !matches(name.substr(0, end))) continue;
    role.filename = Below(folder.path, name.substr(0, end));
    role.rotated = true;
    role.only_if_known = true;
    return role;
  }
  return std::nullopt;
}

}  // namespace

FoundLogFolders FindLogFolders(const FsRoot& fs, const v1::LogsConfig& config) {
  Finder finder(fs);
  if (!config.pods_root().empty()) finder.Pods(config.pods_root());
  if (!config.containers_root().empty()) {
    finder.Add({.path = config.containers_root(), .kind = LogFolderKind::kContainerLinks});
  }
  for (const std::string& root : config.docker_roots()) finder.Docker(root);
  for (const std::string& pattern : config.files()) finder.Files(pattern);
  return finder.Take();
}

std::vector<std::string> LogRootFolders(const v1::LogsConfig& config) {
  std::vector<std::string> roots = {config.pods_root(), config.containers_root()};
  roots.insert(roots.end(), config.docker_roots().begin(), config.docker_roots().end());
  for (const std::string& pattern : config.files()) {
    const std::string plain = pattern.substr(0, pattern.find_first_of("*?["));
    roots.push_back(plain.substr(0, plain.rfind('/')));
  }
  std::erase_if(roots, [](const std::string& root) { return root.empty(); });
  return roots;
}

std::optional<LogFileRole> RoleOf(const LogFolder& folder, std::string_view name) {
  switch (folder.kind) {
    case LogFolderKind::kPodContainer:
      return PodRole(folder, name);
    case LogFolderKind::kContainerLinks:
      return ContainerLinkRole(folder, name);
    case LogFolderKind::kDocker:
      return DockerRole(folder, name);
    case LogFolderKind::kFiles:
      break;
  }
  return IsCompressedOrPartial(name) ? std::nullopt : PlainRole(folder, name);
}

}  // namespace faultline
