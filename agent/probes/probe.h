// A probe is a collector fed by a BPF program: bpf/x.bpf.c in the kernel, agent/probes/x.cc here,
// bpf/x.h for what both share. Programs are feature-probed by loading; what cannot load makes
// `make` fail with the reason ("unsupported: …"), which /debug/leaves and the node report show.
#pragma once

#include "agent/collectors/collector.h"

namespace faultline {

std::span<const CollectorRow> ProbeCatalogue();

}  // namespace faultline
