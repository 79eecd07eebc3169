// Templates in annotations and labels of alerts: Go's language (query/text_template) with what Prometheus adds to it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "aggregator/query/promql.h"
#include "aggregator/query/text_template.h"
#include "aggregator/store/store.h"
#include "common/result.h"

namespace faultline::alerts {

struct TemplateContext {
  Labels labels;
  Labels external_labels;
  std::string external_url;
  double value = 0;
  // For {{ query "…" }}; may be empty.
  std::function<Result<QueryResult>(const std::string&)> query;
};

class PrometheusTemplateFunctions final : public TemplateFunctions {
 public:
  explicit PrometheusTemplateFunctions(const TemplateContext& context) : context_(context) {}
  bool Has(std::string_view name) const override;
  Result<TemplateValue> Call(std::string_view name, std::vector<TemplateValue>& arguments) const override;

 private:
  const TemplateContext& context_;
};

// Whether it can be read at all.
Result<void> CheckTemplate(std::string_view text);
Result<std::string> ExpandTemplate(std::string_view text, const TemplateContext& context);

// /graph?… that shows the expression as a table.
std::string TableLink(std::string_view expression);

}  // namespace faultline::alerts
