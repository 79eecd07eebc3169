// Faults of applications and platforms: a script for each, which finds the fields in its environment.
#include "aggregator/objects/foreign/chaos_mesh_kinds.h"

namespace faultline::dialects {
namespace {

namespace json = boost::json;

// Fields become environment variables of the script: ec2Instance -> EC2_INSTANCE.
std::string VariableName(std::string_view field) {
  std::string name;
  for (size_t i = 0; i < field.size(); ++i) {
    const char c = field[i];
    const bool upper = c >= 'A' && c <= 'Z';
    const bool after_lower = i > 0 && !(field[i - 1] >= 'A' && field[i - 1] <= 'Z') &&
                             field[i - 1] != '-' && field[i - 1] != '.';
    if (upper && after_lower) name += '_';
    name += c == '-' || c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  }
  return name;
}

void AddTemplate(TranslatedChaos& to, std::string_view script, const json::object& fields) {
  json::array environment;
  for (const auto& [name, value] : fields)
    environment.push_back(json::string(VariableName(name) + "=" + TextOf(value)));
  AddFault(to, "user_defined",
           {{"template", script}, {"environment", json::serialize(environment)}});
}

void ReadCloud(FieldReader& spec, TranslatedChaos& to, std::string_view script,
               std::initializer_list<std::string_view> names) {
  json::object fields;
  Word(spec, "action");
  MoveTexts(spec, names, fields);
  AddTemplate(to, script, fields);
  // Its victim is named by the fields; any node can ask for it.
  to.spec["selector"] = json::object{{"nodes", json::array{"*"}}};
  to.spec["mode"] = "one";
}

}  // namespace

void ReadJvm(FieldReader& spec, TranslatedChaos& to) {
  json::object fields;
  Word(spec, "action");
  MoveTexts(spec,
            {"action", "class", "method", "latency", "value", "exception", "name", "port", "pid",
             "cpuCount", "memType", "ruleData", "mysqlConnectorVersion", "database", "table",
             "sqlType", "matchLabels"},
            fields);
  AddTemplate(to, "jvm", fields);
}

void ReadAws(FieldReader& spec, TranslatedChaos& to) {
  ReadCloud(
      spec, to, "aws",
      {"action", "secretName", "awsRegion", "ec2Instance", "volumeID", "deviceName", "endpoint"});
}

void ReadGcp(FieldReader& spec, TranslatedChaos& to) {
  ReadCloud(spec, to, "gcp",
            {"action", "secretName", "project", "zone", "instance", "deviceNames"});
}

void ReadAzure(FieldReader& spec, TranslatedChaos& to) {
  ReadCloud(
      spec, to, "azure",
      {"action", "secretName", "subscriptionID", "resourceGroupName", "vmName", "diskName", "lun"});
}

}  // namespace faultline::dialects
