// keys init makes the aggregator's pair, keys add a node's; adding an existing node again makes a new pair (rotation): the
// aggregator re-reads the folder agents/ by itself.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "aggregator/cli/commands.h"
#include "common/zmq_transport.h"

namespace faultline::cli {
namespace {

Result<void> WriteKey(const std::string& path, const std::string& key, bool secret) {
  // A new file beside it and a rename: a reader never sees half a key.
  const std::string fresh = path + ".new";
  unlink(fresh.c_str());
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, secret ? 0600 : 0644);
  if (fd < 0) return FailErrno(errno, "write {}", fresh);
  const std::string line = key + "\n";
  const bool written = write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && fsync(fd) == 0;
  const int error_number = errno;
  close(fd);
  if (!written) return FailErrno(error_number, "write {}", fresh);
  if (rename(fresh.c_str(), path.c_str()) != 0) return FailErrno(errno, "rename {} to {}", fresh, path);
  return {};
}

Result<void> MakeFolder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return Fail(ErrorCode::kPermissionDenied, "make folder {}: {}", path, error.message());
  return {};
}

Result<void> Init(const std::string& folder, bool force) {
  if (!force && std::filesystem::exists(folder + "/aggregator.secret")) {
    return Fail(ErrorCode::kInvalidArgument, "{}/aggregator.secret exists; --force replaces it (every agent then needs the new "
                "aggregator.public)", folder);
  }
  FAULTLINE_TRY(MakeFolder(folder + "/agents"));
  FAULTLINE_ASSIGN(const CurveKeyPair pair, MakeCurveKeyPair());
  FAULTLINE_TRY(WriteKey(folder + "/aggregator.secret", pair.secret_key, true));
  FAULTLINE_TRY(WriteKey(folder + "/aggregator.public", pair.public_key, false));
  fmt::print("{0}/aggregator.secret (keep it on the aggregator)\n{0}/aggregator.public (every agent needs it)\n", folder);
  return {};
}

Result<void> Add(const std::string& folder, const std::string& node) {
  if (node.empty() || node.find('/') != std::string::npos || node.front() == '.') {
    return Fail(ErrorCode::kInvalidArgument, "'{}' is no node name", node);
  }
  FAULTLINE_TRY(MakeFolder(folder + "/agents"));
  FAULTLINE_ASSIGN(const CurveKeyPair pair, MakeCurveKeyPair());
  FAULTLINE_TRY(WriteKey(folder + "/" + node + ".secret", pair.secret_key, true));
  FAULTLINE_TRY(WriteKey(folder + "/agents/" + node + ".public", pair.public_key, false));
  fmt::print("{0}/{1}.secret (give it to the node)\n{0}/agents/{1}.public (lets it in)\n", folder, node);
  return {};
}

Result<void> Remove(const std::string& folder, const std::string& node) {
  std::error_code error;
  if (!std::filesystem::remove(folder + "/agents/" + node + ".public", error)) {
    return Fail(ErrorCode::kNotFound, "{}/agents/{}.public is not there", folder, node);
  }
  std::filesystem::remove(folder + "/" + node + ".secret", error);
  return {};
}

}  // namespace

void SetUpKeys(CLI::App& app, Session&) {
  app.require_subcommand(1);
  const auto folder = std::make_shared<std::string>();
  const auto node = std::make_shared<std::string>();
  const auto force = std::make_shared<bool>(false);
  CLI::App* init = app.add_subcommand("init", "make the aggregator's key pair");
  CLI::App* add = app.add_subcommand("add", "make a node's key pair and let the node in (any-node: for all nodes)");
  CLI::App* remove = app.add_subcommand("remove", "lock a node out");
  for (CLI::App* command : {init, add, remove}) command->add_option("--dir", *folder, "folder of the keys")->required();
  init->add_flag("--force", *force, "replace an existing pair");
  add->add_option("node", *node, "name of the node")->required();
  remove->add_option("node", *node, "name of the node")->required();
  Run(*init, [folder, force] { return Init(*folder, *force); });
  Run(*add, [folder, node] { return Add(*folder, *node); });
  Run(*remove, [folder, node] { return Remove(*folder, *node); });
}

}  // namespace faultline::cli
