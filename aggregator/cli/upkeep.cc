// backup and fsck: the store of a running aggregator, copied or checked.
#include "aggregator/cli/commands.h"
#include "aggregator/cli/json_path.h"

namespace faultline::cli {
namespace {

namespace json = boost::json;

Result<void> Backup(const Session& session) {
  FAULTLINE_ASSIGN(const json::value reply,
                   session.Client().Json("POST", "/api/v1/admin/tsdb/snapshot"));
  if (session.structured()) return session.Print(reply), Result<void>();
  return std::puts(TextAt(reply, "data.folder").c_str()), Result<void>();
}

Result<void> Fsck(const Session& session) {
  FAULTLINE_ASSIGN(const json::value reply, session.Client().Json("GET", "/api/v1/admin/fsck"));
  if (session.structured()) session.Print(reply);
  const json::array& damages = ArrayAt(reply, "data.damages");
  for (const json::value& line : damages) {
    if (!session.structured()) std::puts(std::string(line.as_string()).c_str());
  }
  if (!damages.empty())
    return Fail(ErrorCode::kCorruption, "{} files of the store are damaged", damages.size());
  if (!session.structured()) std::puts("every file of the store matches its checksums");
  return {};
}

}  // namespace

void SetUpBackup(CLI::App& app, Session& session) {
  Run(app, [&session] { return Backup(session); });
}

void SetUpFsck(CLI::App& app, Session& session) {
  Run(app, [&session] { return Fsck(session); });
}

}  // namespace faultline::cli
