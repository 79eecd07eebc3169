// /api/v1/audit: who changed what, newest first.
#include "aggregator/api/routes/json_forms.h"
#include "aggregator/api/routes/routes.h"
#include "aggregator/store/store.h"
#include "common/text.h"

namespace faultline::routes {

Result<Reply> Audit(const Request& request, ApiContext& context) {
  if (context.store == nullptr) return Fail(ErrorCode::kUnavailable, "no store here");
  size_t limit = 100;
  if (const auto text = request.Parameter("limit"); !text.empty()) {
    const auto number = ParseUint(text);
    if (!number || *number == 0 || *number > 10'000) {
      return Fail(ErrorCode::kInvalidArgument, "limit: '{}' is not a number from 1 to 10000", text);
    }
    limit = *number;
  }
  FAULTLINE_ASSIGN(auto documents, context.store->ListDocuments("audit"));
  std::ranges::sort(documents, std::greater<>());
  if (documents.size() > limit) documents.resize(limit);
  boost::json::array entries;
  for (const auto& [name, text] : documents) {
    boost::system::error_code error;
    boost::json::value entry = boost::json::parse(text, error);
    if (!error) entries.push_back(std::move(entry));
  }
  return SuccessReply(std::move(entries));
}

}  // namespace faultline::routes
