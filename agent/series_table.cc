#include "agent/series_table.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>

#include "common/assert.h"
#include "common/text.h"

namespace faultline {
namespace {

using OwnedLabels = std::vector<std::pair<std::string, std::string>>;

std::string Repaired(std::string_view text) {
  return IsValidUtf8(text) ? std::string(text) : ReplaceInvalidUtf8(text);
}

// Sorted by name, without empty values (an empty label is an absent label).
OwnedLabels Canonical(LabelViews labels, LabelViews attribution) {
  OwnedLabels sorted;
  sorted.reserve(labels.size() + attribution.size());
  for (const LabelViews part : {labels, attribution}) {
    for (const LabelView& label : part) {
      if (!label.value.empty()) sorted.emplace_back(std::string(label.name), Repaired(label.value));
    }
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return sorted;
}

bool AreLabelNames(const OwnedLabels& sorted) {
  for (size_t i = 0; i < sorted.size(); ++i) {
    const std::string& name = sorted[i].first;
    if (!IsMetricName(name) || name.find(':') != std::string::npos) return false;
    if (i > 0 && sorted[i - 1].first == name) return false;
  }
  return true;
}

void AppendEscaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

std::string_view TypeName(v1::MetricType type) {
  switch (type) {
    case v1::METRIC_TYPE_GAUGE: return "gauge";
    case v1::METRIC_TYPE_COUNTER: return "counter";
    case v1::METRIC_TYPE_HISTOGRAM: return "histogram";
    case v1::METRIC_TYPE_SUMMARY: return "summary";
    default: return "untyped";
  }
}

}  // namespace

bool IsMetricName(std::string_view name) {
  if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == ':';
  });
}

std::string_view FamilyName(std::string_view name, v1::MetricType type) {
  if (type != v1::METRIC_TYPE_HISTOGRAM && type != v1::METRIC_TYPE_SUMMARY) return name;
  for (const std::string_view suffix : {"_bucket", "_sum", "_count"}) {
    if (name.size() > suffix.size() && name.ends_with(suffix)) {
      return name.substr(0, name.size() - suffix.size());
    }
  }
  return name;
}

uint32_t SeriesTable::AddLeaf() {
  leaves_.emplace_back();
  return static_cast<uint32_t>(leaves_.size() - 1);
}

SeriesTable::Key SeriesTable::Hash(std::string_view name, LabelViews labels, LabelViews attribution) {
  // Length before each part: no two different series give the same bytes.
  scratch_.clear();
  const auto append = [this](std::string_view text) {
    const auto length = static_cast<uint32_t>(text.size());
    scratch_.append(reinterpret_cast<const char*>(&length), sizeof length);
    scratch_.append(text);
  };
  append(name);
  for (const LabelViews part : {labels, attribution}) {
    for (const LabelView& label : part) {
      append(label.name);
      append(label.value);
    }
  }
  const XXH128_hash_t hash = XXH3_128bits_withSeed(scratch_.data(), scratch_.size(), seed_);
  return {hash.low64, hash.high64};
}

SeriesTable::Seen SeriesTable::Update(uint32_t leaf, uint64_t pass, const MetricFamily& family,
                                      LabelViews labels, LabelViews attribution, double value,
                                      v1::SeriesDefinition* definition) {
  const Key key = Hash(family.name, labels, attribution);
  Seen seen{Outcome::kKnown};
  uint32_t slot = 0;
  if (const auto at = slots_.find(key); at != slots_.end()) {
    slot = at->second;
  } else {
    seen = Insert(key, family, labels, attribution, &slot, definition);
    if (seen.outcome != Outcome::kKnown && seen.outcome != Outcome::kNew) return seen;
  }
  Series& series = series_[slot];
  if (series.alive) {
    if (series.leaf != leaf || series.pass == pass) return {Outcome::kDuplicate};
    seen.changed = std::bit_cast<uint64_t>(series.value) != std::bit_cast<uint64_t>(value);
  } else {
    series.alive = true;
    series.leaf = leaf;
    leaves_[leaf].push_back(slot);
    ++alive_;
  }
  series.pass = pass;
  series.value = value;
  seen.ref = series.ref;
  return seen;
}

SeriesTable::Seen SeriesTable::Insert(Key raw, const MetricFamily& family, LabelViews labels,
                                      LabelViews attribution, uint32_t* slot,
                                      v1::SeriesDefinition* definition) {
  if (!IsMetricName(family.name)) return {Outcome::kInvalid};
  OwnedLabels sorted = Canonical(labels, attribution);
  if (!AreLabelNames(sorted)) return {Outcome::kInvalid};
  std::vector<LabelView> views;
  for (const auto& [name, value] : sorted) views.push_back({name, value});
  const Key canonical = Hash(family.name, views, {});
  if (const auto at = slots_.find(canonical); at != slots_.end()) {
    *slot = at->second;
    slots_.emplace(raw, *slot);
    series_[*slot].keys.push_back(raw);
    return {Outcome::kKnown};
  }
  if (series_.size() - free_slots_.size() >= max_series_ && !MakeRoom()) return {Outcome::kFull};

  if (free_slots_.empty()) {
    *slot = static_cast<uint32_t>(series_.size());
    series_.emplace_back();
  } else {
    *slot = free_slots_.back();
    free_slots_.pop_back();
  }
  const std::string family_name(FamilyName(family.name, family.type));
  const auto [at, is_new] = families_.try_emplace(family_name);
  if (is_new) {
    at->second.type = family.type;
    at->second.help = Repaired(family.help);
  }
  at->second.slots.push_back(*slot);
  Series& series = series_[*slot];
  series = Series{};
  series.ref = next_ref_++;
  series.family = at;
  series.name = family.name;
  series.labels = std::move(sorted);
  series.keys.push_back(canonical);
  slots_.emplace(canonical, *slot);
  if (!(raw == canonical)) {
    series.keys.push_back(raw);
    slots_.emplace(raw, *slot);
  }
  Define(series, definition);
  return {Outcome::kNew};
}

void SeriesTable::Define(Series& series, v1::SeriesDefinition* definition) {
  Family& family = series.family->second;
  definition->Clear();
  definition->set_ref(series.ref);
  definition->set_name(series.name);
  definition->set_type(family.type);
  for (const auto& [name, value] : series.labels) {
    v1::Label* label = definition->add_labels();
    label->set_name(name);
    label->set_value(value);
  }
  if (!family.help_sent) definition->set_help(family.help);
  family.help_sent = true;
}

void SeriesTable::EndPass(uint32_t leaf, uint64_t pass, int64_t now_ns,
                          const std::function<void(uint32_t ref)>& ended) {
  std::vector<uint32_t>& slots = leaves_[leaf];
  std::erase_if(slots, [&](uint32_t slot) {
    Series& series = series_[slot];
    if (series.pass == pass) return false;
    series.alive = false;
    series.ended_ns = now_ns;
    --alive_;
    ended(series.ref);
    return true;
  });
}

void SeriesTable::Forget(int64_t steady_ns) {
  for (uint32_t slot = 0; slot < series_.size(); ++slot) {
    Series& series = series_[slot];
    if (series.alive || series.ref == 0 || series.ended_ns >= steady_ns) continue;
    for (const Key& key : series.keys) slots_.erase(key);
    // The family stays even when empty: its help was sent, and names of families are few.
    std::erase(series.family->second.slots, slot);
    series = Series{};
    free_slots_.push_back(slot);
  }
}

bool SeriesTable::MakeRoom() {
  Forget(INT64_MAX);
  return series_.size() - free_slots_.size() < max_series_;
}

void SeriesTable::Renumber(const std::function<void(const v1::SeriesDefinition&)>& define) {
  Forget(INT64_MAX);
  next_ref_ = 1;
  for (auto& [name, family] : families_) family.help_sent = false;
  v1::SeriesDefinition definition;
  for (Series& series : series_) {
    if (series.ref == 0) continue;
    series.ref = next_ref_++;
    Define(series, &definition);
    define(definition);
  }
}

std::string SeriesTable::Render() const {
  std::string out;
  out.reserve(alive_ * 96);
  for (const auto& [name, family] : families_) {
    bool head = false;
    for (const uint32_t slot : family.slots) {
      const Series& series = series_[slot];
      if (!series.alive) continue;
      if (!head) {
        head = true;
        out += "# HELP " + name + " ";
        AppendEscaped(out, family.help, false);
        out += "\n# TYPE " + name + " ";
        out += TypeName(family.type);
        out += '\n';
      }
      out += series.name;
      char separator = '{';
      for (const auto& [label, value] : series.labels) {
        out += separator;
        out += label;
        out += "=\"";
        AppendEscaped(out, value, true);
        out += '"';
        separator = ',';
      }
      if (separator == ',') out += '}';
      out += ' ';
      out += FormatDouble(series.value);
      out += '\n';
    }
  }
  return out;
}

}  // namespace faultline
