// The kinds that kind_catalogue.cc lists, one file each.
#pragma once

#include <boost/json.hpp>

#include "aggregator/objects/field_reader.h"
#include "common/result.h"

namespace faultline::kinds {

Result<void> ValidateCheckRules(boost::json::object& body);
Result<void> ValidateClusterCheck(boost::json::object& body);
Result<void> ValidateExperiment(boost::json::object& body);
Result<void> ValidateLabel(boost::json::object& body);
Result<void> ValidateNodeCheck(boost::json::object& body);
Result<void> ValidatePhysicalMachine(boost::json::object& body);
Result<void> ValidatePolicy(boost::json::object& body);
Result<void> ValidateSchedule(boost::json::object& body);
Result<void> ValidateWorkflow(boost::json::object& body);

// Their specs, where other kinds contain them.
void ReadExperimentFields(FieldReader& spec);
void ReadScheduleFields(FieldReader& spec);
void ReadStatusCheckFields(FieldReader& check);
void ReadWorkflowFields(FieldReader& spec);

}  // namespace faultline::kinds
