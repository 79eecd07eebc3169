// Runs the parser with a handler that keeps nothing, one document more than is allowed at most.
#include "common/yaml_documents.h"

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <sstream>
#include <string>

namespace faultline {
namespace {

class NothingKept final : public YAML::EventHandler {
 public:
  using Mark = YAML::Mark;
  using Anchor = YAML::anchor_t;
  using Style = YAML::EmitterStyle::value;
  void OnDocumentStart(const Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const Mark&, Anchor) override {}
  void OnAlias(const Mark&, Anchor) override {}
  void OnScalar(const Mark&, const std::string&, Anchor, const std::string&) override {}
  void OnSequenceStart(const Mark&, const std::string&, Anchor, Style) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const Mark&, const std::string&, Anchor, Style) override {}
  void OnMapEnd() override {}
};

}  // namespace

Result<void> CheckYamlDocuments(std::string_view yaml, size_t max_documents,
                                std::string_view origin) {
  try {
    std::istringstream stream{std::string(yaml)};
    YAML::Parser parser(stream);
    NothingKept nothing;
    for (size_t documents = 0; parser.HandleNextDocument(nothing); ++documents) {
      if (documents == max_documents) {
        return Fail(
            ErrorCode::kInvalidArgument,
            "{}: more than {} YAML documents, or something behind the last one that is none",
            origin, max_documents);
      }
    }
  } catch (const std::exception&) {
    return {};  // whoever parses it next says where and why
  }
  return {};
}

}  // namespace faultline
