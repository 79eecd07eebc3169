// Label objects are ground truth by hand: one label each, under the object's name, gone with the
// object.
#pragma once

#include "aggregator/labels/ground_truth.h"
#include "aggregator/objects/objects.h"

namespace faultline {

class LabelObjects {
 public:
  // Both outlive it.
  LabelObjects(Objects* objects, GroundTruth* truth) : objects_(objects), truth_(truth) {}
  void Start();
  void Stop();

 private:
  void Take(const ObjectEvent& event);

  Objects* const objects_;
  GroundTruth* const truth_;
  uint64_t watch_ = 0;
};

}  // namespace faultline
