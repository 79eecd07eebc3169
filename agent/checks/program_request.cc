#include "agent/checks/program_request.h"

#include <algorithm>

#include "agent/checks/contracts/contract.h"

namespace faultline {

Result<v1::RunProgram> RequestOf(const CheckRule& rule, const v1::CheckView& view,
                                 const CheckEngineOptions& options) {
  v1::RunProgram request;
  // In a container the host's files lie below host_root; what is started there sees the host as its
  // own.
  const std::string root = options.host_root == "/" ? "" : options.host_root;
  std::string program = root + rule.program;
  if (!rule.own_program) {
    std::vector<std::string> roots;
    for (const std::string& allowed : options.config.allowed_roots())
      roots.push_back(root + allowed);
    FAULTLINE_ASSIGN(program, AllowedProgram(program, roots));
  }
  if (!root.empty()) request.set_view_pid(1);
  if (view.pid() != 0 || !view.pod().empty()) {
    const uint32_t pid = view.pid() != 0     ? view.pid()
                         : options.find_view ? options.find_view(view)
                                             : 0;
    if (pid == 0)
      return Fail(ErrorCode::kUnavailable, "there is no pod {}/{} here", view.namespace_(),
                  view.pod());
    request.set_view_pid(pid);
  }
  request.add_arguments(program);
  for (const std::string& argument : rule.arguments) request.add_arguments(argument);
  for (const char* variable : {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                               "LC_ALL=C.UTF-8", "HOME=/", "SHELL=/bin/sh"}) {
    request.add_environment(variable);
  }
  request.add_environment("NODE_NAME=" + options.host_name);
  for (const std::string& variable : rule.environment) request.add_environment(variable);
  request.set_folder(program.substr(0, program.rfind('/') + 1));
  request.set_timeout_ms(std::max<int64_t>(rule.timeout_ns / kNsPerMs, 1));
  request.set_max_output_bytes(options.config.max_output_bytes());
  return request;
}

}  // namespace faultline
