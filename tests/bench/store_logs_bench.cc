// What log lines cost: CPU to take them, bytes on disk beside plain zstd, and the time to find a
// needle.
//   store_logs_bench MIB FILE…      the lines of the files, one stream each, again and again; of
//   longer numbers the
//                                   last digits are drawn anew, so that repetition is no more than
//                                   real logs have
#include <sys/resource.h>
#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "aggregator/store/store.h"

namespace faultline {
namespace {

double CpuSeconds() {
  struct rusage usage;
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

struct Source {
  StreamId stream = 0;
  std::vector<std::string> lines;
  size_t next = 0;
};

void DrawDigits(std::string& line, std::mt19937_64& random) {
  for (size_t at = 0; at < line.size();) {
    const size_t begin = at;
    while (at < line.size() && line[at] >= '0' && line[at] <= '9') ++at;
    if (at - begin >= 4) {
      for (size_t i = at - 3; i < at; ++i) line[i] = static_cast<char>('0' + random() % 10);
    }
    if (at == begin) ++at;
  }
}

int Main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: store_logs_bench MIB FILE...\n"), 2;
  const size_t wanted = std::strtoull(argv[1], nullptr, 10) << 20;
  std::string folder = (std::filesystem::temp_directory_path() / "store_logs_XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return 1;
  SystemClock clock;
  StoreOptions options;
  options.folder = folder;
  auto store = OpenRocksDbStore(options, &clock).value();
  std::vector<Source> sources;
  for (int i = 2; i < argc; ++i) {
    Source& source = sources.emplace_back();
    source.stream = store->InternStream({{"file", argv[i]}, {"job", "bench"}}).value();
    std::ifstream file(argv[i]);
    for (std::string line; std::getline(file, line);) source.lines.push_back(std::move(line));
  }
  std::mt19937_64 random(1);
  std::atomic<int> in_flight = 0;
  size_t bytes = 0, lines = 0;
  int64_t time_ns = 1'763'600'000 * kNsPerSecond;
  const int64_t begin_ns = time_ns;
  std::string sample;  // for the plain compressor
  bool hidden = false;
  double cpu = 0;
  while (bytes < wanted) {
    AppendBatch batch;
    batch.node = "n1";
    for (Source& source : sources) {
      AppendBatch::LogRows rows;
      rows.stream = source.stream;
      for (int i = 0; i < 200; ++i) {
        std::string line = source.lines[source.next++ % source.lines.size()];
        DrawDigits(line, random);
        if (!hidden && bytes > wanted / 2) {
          line += " needle-7f3a91c2";
          hidden = true;
        }
        if (sample.size() < (64 << 20)) (sample += line) += '\n';
        bytes += line.size() + 1;
        ++lines;
        v1::LogRecord& record = rows.records.emplace_back();
        record.set_time_unix_ns(time_ns += 200'000);
        record.set_body(std::move(line));
      }
      batch.logs.push_back(std::move(rows));
    }
    const double before = CpuSeconds();
    while (in_flight > 8) in_flight.wait(in_flight.load());
    ++in_flight;
    store->Append(std::move(batch), [&](Result<void> result) {
      if (!result) std::fprintf(stderr, "%s\n", result.error().message.c_str());
      --in_flight;
      in_flight.notify_all();
    });
    cpu += CpuSeconds() - before;
  }
  for (int left = in_flight; left > 0; left = in_flight) in_flight.wait(left);
  std::printf("%zu lines, %.0f MB of text\n", lines, 1e-6 * static_cast<double>(bytes));
  store.reset();
  store = OpenRocksDbStore(options, &clock).value();
  const auto disk = static_cast<double>(store->Stats().bytes_on_disk);
  std::string plain(ZSTD_compressBound(sample.size()), '\0');
  const size_t plain_size =
      ZSTD_compress(plain.data(), plain.size(), sample.data(), sample.size(), 3);
  std::printf(
      "disk %.1f MB: %.1f to 1 (with times); zstd -3 over the first %zu MB, without times: %.1f to "
      "1\n",
      1e-6 * disk, static_cast<double>(bytes) / disk, sample.size() >> 20,
      static_cast<double>(sample.size()) / static_cast<double>(plain_size));
  for (const std::string needle : {"needle-7f3a91c2", "no such text anywhere", "blk_1234567"}) {
    std::vector<double> walls;
    double spent = 0;
    size_t found = 0;
    for (int round = 0; round < 5; ++round) {
      LogQuery query;
      query.begin_unix_ns = begin_ns;
      query.end_unix_ns = time_ns + 1;
      query.needles = {needle};
      found = 0;
      const double before = CpuSeconds();
      const int64_t begin = clock.SteadyNs();
      (void)store->ScanLogs(query, [&](const Labels&, const LogEntry&) { return ++found < 1000; });
      walls.push_back(1e-9 * static_cast<double>(clock.SteadyNs() - begin));
      spent += CpuSeconds() - before;
    }
    std::sort(walls.begin(), walls.end());
    std::printf("needle '%s': %zu found in %.3f s median (%.3f … %.3f), %.3f CPU-s\n",
                needle.c_str(), found, walls[2], walls[0], walls[4], spent / 5);
  }
  store.reset();
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace faultline

int main(int argc, char** argv) { return faultline::Main(argc, argv); }
