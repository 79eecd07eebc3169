// The sub-commands, for catalogue.cc.
#pragma once

#include "aggregator/cli/command.h"

namespace faultline::cli {

void SetUpApply(CLI::App& app, Session& session);
void SetUpBackup(CLI::App& app, Session& session);
void SetUpBundle(CLI::App& app, Session& session);
void SetUpCheck(CLI::App& app, Session& session);
void SetUpChaosd(CLI::App& app, Session& session);
void SetUpCompletion(CLI::App& app, Session& session);
void SetUpDelete(CLI::App& app, Session& session);
void SetUpDescribe(CLI::App& app, Session& session);
void SetUpDiagnose(CLI::App& app, Session& session);
void SetUpExperiment(CLI::App& app, Session& session);
void SetUpFault(CLI::App& app, Session& session);
void SetUpFsck(CLI::App& app, Session& session);
void SetUpGet(CLI::App& app, Session& session);
void SetUpHalt(CLI::App& app, Session& session);
void SetUpKeys(CLI::App& app, Session& session);
void SetUpLabel(CLI::App& app, Session& session);
void SetUpLogs(CLI::App& app, Session& session);
void SetUpProfile(CLI::App& app, Session& session);
void SetUpQuery(CLI::App& app, Session& session);
void SetUpReport(CLI::App& app, Session& session);
void SetUpTop(CLI::App& app, Session& session);
void SetUpTraces(CLI::App& app, Session& session);
void SetUpWatch(CLI::App& app, Session& session);

}  // namespace faultline::cli
