// XFS filesystems: what each did since it was mounted (/sys/fs/xfs/<device>/stats/stats). Each line
// is a group of counters by place; a name left empty is skipped.
#include "agent/collectors/collector.h"
#include "common/family_cache.h"
#include "common/text.h"

namespace faultline {
namespace {

struct Group {
  std::string_view key, prefix;
  std::string_view names[11];
};
constexpr Group kGroups[] = {
    {"extent_alloc",
     "extent_allocation",
     {"extents_allocated", "blocks_allocated", "extents_freed", "blocks_freed"}},
    {"abt", "allocation_btree", {"lookups", "compares", "records_inserted", "records_deleted"}},
    {"blk_map",
     "block_mapping",
     {"reads", "writes", "unmaps", "extent_list_insertions", "extent_list_deletions",
      "extent_list_lookups", "extent_list_compares"}},
    {"bmbt", "block_map_btree", {"lookups", "compares", "records_inserted", "records_deleted"}},
    {"dir", "directory_operation", {"lookup", "create", "remove", "getdents"}},
    {"ig",
     "inode_operation",
     {"attempts", "found", "recycled", "missed", "duplicates", "reclaims", "attribute_changes"}},
    {"rw", "", {"write_calls", "read_calls"}},
    {"vnodes", "vnode", {"active", "allocate", "get", "hold", "release", "reclaim", "remove"}},
};
constexpr std::string_view kFolder = "/sys/fs/xfs";

class XfsCollector final : public Collector {
 public:
  explicit XfsCollector(const HostView& host) : fs_(host.fs) {}

  Result<void> Collect(Emitter& out) override {
    for (const std::string& device : fs_.List(kFolder).value_or(std::vector<std::string>())) {
      // "stats" beside the devices is their sum.
      const auto text = fs_.Read(fmt::format("{}/{}/stats/stats", kFolder, device));
      if (!text) continue;
      families_.Begin();
      std::string_view rest = *text, line;
      while (NextLine(rest, line)) {
        const std::string_view key = NextWord(line);
        for (const Group& group : kGroups) {
          if (group.key == key) EmitGroup(out, group, device, line);
        }
      }
    }
    return {};
  }

 private:
  void EmitGroup(Emitter& out, const Group& group, std::string_view device, std::string_view line) {
    for (const std::string_view name : group.names) {
      const auto value = ParseUint(NextWord(line));
      if (!value || name.empty()) break;
      key_.assign(group.prefix).append(group.prefix.empty() ? "" : "_").append(name);
      const MetricFamily* family = families_.Get(key_, [&](std::string_view key) {
        return std::optional(OwnedFamily{fmt::format("node_xfs_{}_total", key),
                                         v1::METRIC_TYPE_COUNTER,
                                         fmt::format("{} {} of the filesystem.", group.key, name)});
      });
      if (family != nullptr) out.Sample(*family, {{"device", device}}, static_cast<double>(*value));
    }
  }

  const FsRoot& fs_;
  FamilyCache families_;
  std::string key_;
};

}  // namespace

Result<std::unique_ptr<Collector>> MakeXfs(const LeafContext& context) {
  return std::make_unique<XfsCollector>(context.host);
}

}  // namespace faultline
