// Who sent a signal: an OTLP resource in the words that the rest of the store uses.
#pragma once

#include <string>

#include "aggregator/store/store.h"
#include "faultline/v1/otlp.pb.h"

namespace faultline::otlp {

struct ResourceView {
  explicit ResourceView(const v1::Resource& resource);

  std::string service;   // service.name, or unknown_service
  std::string job;       // [service.namespace/]service.name
  std::string instance;  // service.instance.id
  std::string node;      // k8s.node.name, or host.name
  Labels place;          // container, namespace, node, pod as far as known
  Labels rest;           // all others, sanitised: what target_info carries
  faultline::v1::Subject subject;
};

// A letter or underscore, then letters, digits, underscores; what is not becomes an underscore.
std::string LabelNameOf(std::string_view attribute);

}  // namespace faultline::otlp
