// Families whose names come from the kernel's own text (meminfo, vmstat, netstat …): built once per
// key, then found again by place, because the same file lists the same keys in the same order on
// every pass.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/emitter.h"

namespace faultline {

// A family that owns its texts.
struct OwnedFamily {
  std::string name;
  v1::MetricType type = v1::METRIC_TYPE_UNTYPED;
  std::string help;
};

// Letters, digits, underscores and colons stay; everything else becomes an underscore.
inline std::string MetricName(std::string_view text) {
  std::string name(text);
  for (char& c : name) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == ':';
    if (!fits) c = '_';
  }
  return name;
}

class FamilyCache {
 public:
  // Starts a pass.
  void Begin() { next_ = 0; }

  // The family of `key`, made by make(key) -> std::optional<OwnedFamily> when it is new. nullptr:
  // not wanted, or more keys than a kernel file has any business to hold.
  template <typename Make>
  const MetricFamily* Get(std::string_view key, Make&& make) {
    if (next_ < entries_.size() && entries_[next_]->key == key) return entries_[next_++]->Wanted();
    const auto known = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const auto& entry) { return entry->key == key; });
    if (known != entries_.end()) {
      next_ = static_cast<size_t>(known - entries_.begin()) + 1;
      return (*known)->Wanted();
    }
    if (entries_.size() >= kMaxKeys) return nullptr;
    entries_.push_back(std::make_unique<Entry>());
    Entry& entry = *entries_.back();
    entry.key = key;
    if (std::optional<OwnedFamily> made = make(key)) {
      entry.owned = *std::move(made);
      entry.family = {entry.owned.name, entry.owned.type, entry.owned.help};
      entry.wanted = true;
    }
    next_ = entries_.size();
    return entry.Wanted();
  }

 private:
  static constexpr size_t kMaxKeys = 4096;
  struct Entry {
    std::string key;
    OwnedFamily owned;
    MetricFamily family;
    bool wanted = false;
    const MetricFamily* Wanted() const { return wanted ? &family : nullptr; }
  };
  std::vector<std::unique_ptr<Entry>> entries_;
  size_t next_ = 0;
};

}  // namespace faultline
