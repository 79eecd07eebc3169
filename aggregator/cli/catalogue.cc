#include "aggregator/cli/commands.h"

namespace faultline::cli {
namespace {

constexpr CommandRow kCommands[] = {
    {"apply", "create or change objects from files (ours, or manifests of Chaos Mesh)", SetUpApply},
    {"backup", "copy the aggregator's store while it works", SetUpBackup},
    {"bundle", "collect what a support request needs into one file", SetUpBundle},
    {"chaosd", "attacks as chaosd's command line has them", SetUpChaosd},
    {"check", "run health checks now, list them, look into their history", SetUpCheck},
    {"completion", "print a completion script for bash", SetUpCompletion},
    {"delete", "delete an object; an experiment recovers its faults first", SetUpDelete},
    {"describe", "one object for people: conditions, targets, events", SetUpDescribe},
    {"diagnose", "what went wrong, where first, and why", SetUpDiagnose},
    {"experiment", "pause, resume or abort an experiment", SetUpExperiment},
    {"fault", "list, run, follow and recover faults", SetUpFault},
    {"fsck", "read the aggregator's store against its checksums", SetUpFsck},
    {"get", "list objects, nodes or the ground truth", SetUpGet},
    {"halt", "recover every fault everywhere, and refuse new ones", SetUpHalt},
    {"keys", "make the keys of aggregator and agents", SetUpKeys},
    {"label", "add or import ground truth", SetUpLabel},
    {"logs", "log lines that match a LogQL query", SetUpLogs},
    {"profile", "where the CPUs of a node spend their time, as folded stacks", SetUpProfile},
    {"query", "evaluate PromQL", SetUpQuery},
    {"report", "the report of a node or of the cluster", SetUpReport},
    {"top", "nodes or containers by what they use", SetUpTop},
    {"traces", "traces that match TraceQL, or one trace as a tree", SetUpTraces},
    {"watch", "follow the changes of objects", SetUpWatch},
};

}  // namespace

std::span<const CommandRow> CommandCatalogue() { return kCommands; }

}  // namespace faultline::cli
