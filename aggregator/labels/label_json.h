// A label as JSON: what the store keeps, what the API shows.
#pragma once

#include <boost/json.hpp>

#include "aggregator/labels/ground_truth.h"
#include "common/result.h"

namespace faultline {

// Times are given twice: nanoseconds as text (exact in every language) and RFC 3339 for people.
boost::json::object LabelToJson(const FaultLabel& label);
// Reads what LabelToJson writes; kCorruption names the field.
Result<FaultLabel> LabelFromJson(const boost::json::value& value);
boost::json::object SubjectToJson(const v1::Subject& subject);
v1::Subject SubjectFromJson(const boost::json::value& value);
boost::json::object EffectToJson(const v1::Effect& effect);
v1::Effect EffectFromJson(const boost::json::value& value);
// injected, verified, recovered, failed … and back.
std::string_view FaultPhaseName(v1::FaultPhase phase);
std::string_view VerdictName(
    v1::Verdict verdict);  // true, false, inconclusive; empty if unspecified

}  // namespace faultline
