// /api/v1/halt: the big red button. POST ends every fault on every node and refuses new ones; DELETE allows them again.
#include "aggregator/api/routes/json_forms.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/experiments/experiments.h"

namespace faultline::routes {
namespace {

namespace json = boost::json;

Result<Experiments*> ExperimentsOf(ApiContext& context) {
  if (context.experiments == nullptr) return Fail(ErrorCode::kUnavailable, "no experiments run here");
  return context.experiments;
}

}  // namespace

Result<Reply> HaltState(const Request&, ApiContext& context) {
  FAULTLINE_ASSIGN(Experiments* const experiments, ExperimentsOf(context));
  return SuccessReply(json::object{{"halted", experiments->halted()}});
}

Result<Reply> Halt(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(Experiments* const experiments, ExperimentsOf(context));
  FAULTLINE_ASSIGN(const int nodes, experiments->Halt(request.principal));
  return SuccessReply(json::object{{"halted", true}, {"nodes", nodes}});
}

Result<Reply> Resume(const Request& request, ApiContext& context) {
  FAULTLINE_ASSIGN(Experiments* const experiments, ExperimentsOf(context));
  FAULTLINE_TRY(experiments->Resume(request.principal));
  return SuccessReply(json::object{{"halted", false}});
}

}  // namespace faultline::routes
