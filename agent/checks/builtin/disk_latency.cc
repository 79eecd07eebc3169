// Average time of a request on every disk since the last look.
#include "agent/checks/builtin/judged.h"
#include "agent/checks/builtin/rows.h"

namespace faultline {
namespace {

class DiskLatency final : public Check {
 public:
  explicit DiskLatency(CheckParameters& parameters)
      : warn_(parameters.Number("warn", 100)),
        crit_(parameters.Number("crit", 500)),
        min_requests_(parameters.Number("min_requests", 20)) {}
  Finding Evaluate(const HostView& host) override {
    const auto text = host.fs.Read("/proc/diskstats");
    if (!text) return Finding::NotApplicable("no disks");
    Judged judged;
    std::string_view rest = *text, line;
    while (NextLine(rest, line)) {
      std::vector<std::string_view> words;
      for (std::string_view word = NextWord(line); !word.empty(); word = NextWord(line))
        words.push_back(word);
      if (words.size() < 14) continue;
      const std::string name(words[2]);
      if (NameIn("loop*,ram*,zram*,sr*,fd*", name) || !host.fs.Exists("/sys/block/" + name))
        continue;
      const double requests = ParseDouble(words[3]).value_or(0) + ParseDouble(words[7]).value_or(0);
      const double ms = ParseDouble(words[6]).value_or(0) + ParseDouble(words[10]).value_or(0);
      judged.Saw();
      const auto done = growth_.Of(name + "/n", requests);
      const auto took = growth_.Of(name + "/ms", ms);
      if (!done || !took || *done < min_requests_) continue;
      const double average = *took / *done;
      judged.High(average, warn_, crit_, name,
                  fmt::format("{} takes {:.1f} ms a request", name, average));
      judged.finding().Add(name, average, "ms");
    }
    if (judged.seen() == 0) return Finding::NotApplicable("no disks");
    return judged.Finish(fmt::format("{} disks are quick enough", judged.seen()),
                         fmt::format("below {} ms", warn_));
  }

 private:
  const double warn_;
  const double crit_;
  const double min_requests_;
  Growth growth_;
};

}  // namespace

std::unique_ptr<Check> MakeDiskLatency(CheckParameters& parameters) {
  return std::make_unique<DiskLatency>(parameters);
}

}  // namespace faultline
