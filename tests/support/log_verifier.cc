// Counts what became of log_writer's lines: reads all lines of an aggregator's store (which must not be running) or of a text
// file, and says for each container how many sequence numbers are missing and how many are there more than once.
//   log_verifier store FOLDER < what log_writer printed
//   log_verifier text FILE    < what log_writer printed
// Exit 0: nothing lost, nothing twice. Prints one line of totals in any case.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "aggregator/store/store.h"
#include "common/text.h"

namespace faultline {
namespace {

struct Counts {
  std::vector<uint8_t> times;
  uint64_t beyond = 0;  // numbers that were never written
};

class Tally {
 public:
  void Expect(const std::string& container, uint64_t lines) { counts_[container].times.resize(lines); }

  void See(std::string_view body) {
    const size_t at = body.find("c=c");
    const size_t blank = at == std::string_view::npos ? at : body.find(' ', at);
    if (blank == std::string_view::npos || !body.substr(blank).starts_with(" seq=")) {
      ++other_;
      return;
    }
    const auto found = counts_.find(body.substr(at + 2, blank - at - 2));
    const std::string_view digits = body.substr(blank + 5, body.find(' ', blank + 5) - blank - 5);
    const auto number = ParseUint(digits);
    if (found == counts_.end() || !number || *number >= found->second.times.size()) {
      ++other_;
      return;
    }
    uint8_t& times = found->second.times[*number];
    times = static_cast<uint8_t>(std::min(times + 1, 255));
  }

  int Print() const {
    uint64_t written = 0, lost = 0, twice = 0;
    for (const auto& [name, counts] : counts_) {
      uint64_t missing = 0, first = 0;
      for (size_t i = 0; i < counts.times.size(); ++i) {
        if (counts.times[i] == 0 && missing++ == 0) first = i;
        twice += counts.times[i] > 1 ? 1 : 0;
      }
      if (missing > 0) {
        std::printf("%s: %llu of %zu missing, the first is %llu\n", name.c_str(), static_cast<unsigned long long>(missing),
                    counts.times.size(), static_cast<unsigned long long>(first));
      }
      written += counts.times.size();
      lost += missing;
    }
    std::printf("written %llu lost %llu (%.3f %%) twice %llu other %llu\n", static_cast<unsigned long long>(written),
                static_cast<unsigned long long>(lost), written == 0 ? 0 : 100.0 * static_cast<double>(lost) / static_cast<double>(written),
                static_cast<unsigned long long>(twice), static_cast<unsigned long long>(other_));
    return lost + twice == 0 ? 0 : 1;
  }

 private:
  std::map<std::string, Counts, std::less<>> counts_;
  uint64_t other_ = 0;
};

int Main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: log_verifier store FOLDER | text FILE\n"), 2;
  Tally tally;
  std::string container;
  for (uint64_t lines = 0; std::cin >> container >> lines;) tally.Expect(container, lines);
  if (std::string_view(argv[1]) == "text") {
    std::ifstream file(argv[2]);
    for (std::string line; std::getline(file, line);) tally.See(line);
    return tally.Print();
  }
  const SystemClock clock;
  const auto store = OpenRocksDbStore({.folder = argv[2]}, &clock);
  if (!store) return std::fprintf(stderr, "log_verifier: %s\n", store.error().message.c_str()), 2;
  LogQuery query;
  query.matchers.push_back({.op = LabelMatcher::Op::kEqual, .name = "namespace", .value = "bench"});
  query.begin_unix_ns = 0;
  query.end_unix_ns = INT64_MAX;
  query.newest_first = false;
  const auto read = (*store)->ScanLogs(query, [&](const Labels&, const LogEntry& entry) {
    tally.See(entry.body);
    return true;
  });
  if (!read) return std::fprintf(stderr, "log_verifier: %s\n", read.error().message.c_str()), 2;
  return tally.Print();
}

}  // namespace
}  // namespace faultline

int main(int argc, char** argv) { return faultline::Main(argc, argv); }
