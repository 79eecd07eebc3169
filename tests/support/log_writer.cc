// Writes container logs as a runtime under Kubernetes does: CRI lines that carry their container and a sequence number of
// that container, in files that are rotated as kubelet rotates them, or as logrotate's copytruncate does. Ends by printing
// what it wrote, container by container, for tests/support/log_verifier.
//   log_writer ROOT [--containers N] [--lines L] [--mib-per-second R] [--quiet-lines-per-second Q] [--line-bytes B]
//              [--rotate-bytes S] [--rotations K] [--max-files F] [--style kubelet|copytruncate|none] [--seed X]
// The first container writes `lines` lines at the given rate (0: as fast as it can); the others write Q lines a second each
// until the first is done. --rotations ends the run after so many rotations of the first container instead; SIGTERM ends it
// after the line that is being written.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "common/text.h"

namespace faultline {
namespace {

namespace fs = std::filesystem;

volatile sig_atomic_t stop_asked = 0;

struct Settings {
  std::string root, style = "kubelet";
  uint64_t containers = 1, lines = 1'000'000, line_bytes = 300, rotate_bytes = 10 << 20, rotations = 0, max_files = 5, seed = 1;
  double mib_per_second = 0, quiet_lines_per_second = 1;
};

[[noreturn]] void Die(const std::string& what) {
  std::perror(what.c_str());
  std::exit(1);
}

// Digits of RFC 3339 with nanoseconds; the part up to the second is kept as long as it lasts.
class Stamp {
 public:
  std::string_view At(int64_t unix_ns) {
    if (unix_ns / kNsPerSecond != second_) {
      second_ = unix_ns / kNsPerSecond;
      text_ = FormatTime(second_ * kNsPerSecond).substr(0, 19) + ".000000000Z";
    }
    int64_t rest = unix_ns % kNsPerSecond;
    for (size_t at = 28; at > 19; --at, rest /= 10) text_[at] = static_cast<char>('0' + rest % 10);
    return text_;
  }

 private:
  int64_t second_ = -1;
  std::string text_;
};

class Container {
 public:
  Container(const Settings& settings, uint64_t number)
      : settings_(settings), name_("c" + std::to_string(number)), random_(settings.seed + number) {
    folder_ = settings.root + "/bench_pod-" + std::to_string(number) + "_00000000-0000-0000-0000-" +
              fmt::format("{:012}", number) + "/" + name_;
    fs::create_directories(folder_);
    Open();
    constexpr const char* kWords[] = {"GET", "POST", "/api/v1/items", "/healthz", "user", "latency_ms", "cache", "miss", "hit",
                                      "upstream", "connection", "reset", "retry", "timeout", "shard", "commit", "offset", "OK"};
    for (int i = 0; i < 512; ++i) {
      std::string text;
      while (text.size() < settings.line_bytes) {
        if (random_() % 3 == 0) {
          text += fmt::format("{:x} ", random_() % 0xffffff);
        } else {
          text += fmt::format("{} ", kWords[random_() % std::size(kWords)]);
        }
      }
      payloads_.push_back(std::move(text));
    }
  }

  // One line into the buffer.
  void Add(int64_t now_ns) {
    last_ns_ = std::max(last_ns_ + 1, now_ns);
    const size_t begin = buffer_.size();
    buffer_ += stamp_.At(last_ns_);
    buffer_ += next_ % 16 == 7 ? " stderr F " : " stdout F ";
    buffer_ += "c=";
    buffer_ += name_;
    buffer_ += " seq=";
    buffer_ += std::to_string(next_++);
    buffer_ += " level=info msg=\"";
    const size_t used = buffer_.size() - begin;
    if (used + 2 < settings_.line_bytes) {
      buffer_.append(payloads_[random_() % payloads_.size()], 0, settings_.line_bytes - used - 2);
    }
    buffer_ += "\"\n";
  }

  void Write() {
    for (size_t at = 0; at < buffer_.size();) {
      const ssize_t n = write(fd_, buffer_.data() + at, buffer_.size() - at);
      if (n < 0) Die("write " + path_);
      at += static_cast<size_t>(n);
    }
    size_ += buffer_.size();
    bytes_ += buffer_.size();
    buffer_.clear();
  }

  bool RotationDue() const {
    return settings_.style != "none" && size_ >= settings_.rotate_bytes && !rotator_.joinable();
  }

  // Where compressing is slower than writing, files would grow without end.
  bool IsFarAhead() const { return size_ >= 4 * settings_.rotate_bytes; }

  // Kubelet rotates beside the runtime, which is told to open a new file when it is done.
  void Rotate(int64_t now_ns) {
    ++rotations_;
    if (settings_.style == "copytruncate") return CopyTruncate();
    renamed_ = false;
    rotator_ = std::thread([this, now_ns] {
      RotateAsKubelet(now_ns);
      renamed_ = true;
    });
  }

  // Between writes; `wait`: until a rotation that goes on is done.
  void FinishRotation(bool wait) {
    if (!rotator_.joinable() || (!wait && !renamed_)) return;
    rotator_.join();
    // The runtime has not been told yet: it still writes to the old file.
    for (int i = 0; i < 10; ++i) Add(last_ns_ + 1);
    Write();
    close(fd_);
    Open();
  }

  const std::string& name() const { return name_; }
  uint64_t lines() const { return next_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t buffered() const { return buffer_.size(); }
  uint64_t rotations() const { return rotations_; }

 private:
  void RotateAsKubelet(int64_t now_ns) {
    // Kubelet's order: what is too many goes, what is not compressed yet is, then the live file is renamed.
    while (!zipped_.empty() && zipped_.size() + plain_.size() + 2 > settings_.max_files) {
      fs::remove(zipped_.front());
      zipped_.pop_front();
    }
    for (const std::string& path : plain_) {
      Zip(path);
      zipped_.push_back(path + ".gz");
    }
    plain_.clear();
    // Kubelet rotates every ten seconds at most and names by the second; here each rotation has a second of its own.
    const std::string stamp = FormatTime(now_ns / kNsPerSecond * kNsPerSecond + static_cast<int64_t>(rotations_) * kNsPerSecond);
    std::string digits;
    for (const char c : stamp.substr(0, 19)) {
      if (c >= '0' && c <= '9') digits += c;
      if (c == 'T') digits += '-';
    }
    const std::string rotated = path_ + "." + digits;
    fs::rename(path_, rotated);
    plain_.push_back(rotated);
  }

  void Open() {
    path_ = folder_ + "/0.log";
    fd_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd_ < 0) Die("open " + path_);
    size_ = 0;
  }

  void CopyTruncate() {
    for (uint64_t i = settings_.max_files - 1; i-- > 1;) {
      const std::string from = path_ + "." + std::to_string(i);
      if (fs::exists(from)) fs::rename(from, path_ + "." + std::to_string(i + 1));
    }
    fs::copy_file(path_, path_ + ".1", fs::copy_options::overwrite_existing);
    if (ftruncate(fd_, 0) != 0) Die("truncate " + path_);
    size_ = 0;
  }

  static void Zip(const std::string& path) {
    const int from = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (from < 0) Die("open " + path);
    const std::string half = path + ".tmp";
    // Huffman codes alone: how fast this program can compress is not what is measured.
    gzFile to = gzopen(half.c_str(), "wb1h");
    gzbuffer(to, 256 << 10);
    std::vector<char> chunk(256 << 10);
    for (ssize_t n; (n = read(from, chunk.data(), chunk.size())) > 0;) gzwrite(to, chunk.data(), static_cast<unsigned>(n));
    close(from);
    gzclose(to);
    fs::rename(half, path + ".gz");
    fs::remove(path);
  }

  const Settings& settings_;
  const std::string name_;
  std::mt19937_64 random_;
  std::string folder_, path_, buffer_;
  std::vector<std::string> payloads_;
  std::deque<std::string> plain_, zipped_;
  std::thread rotator_;
  std::atomic<bool> renamed_ = false;
  Stamp stamp_;
  int fd_ = -1;
  uint64_t next_ = 0, size_ = 0, bytes_ = 0, rotations_ = 0;
  int64_t last_ns_ = 0;
};

void Run(const Settings& settings) {
  const SystemClock clock;
  std::deque<Container> all;
  for (uint64_t i = 0; i < settings.containers; ++i) all.emplace_back(settings, i);
  const int64_t begin_ns = clock.SteadyNs();
  const auto elapsed = [&] { return static_cast<double>(clock.SteadyNs() - begin_ns) / 1e9; };
  Container& loud = all.front();
  uint64_t quiet_due = 0;
  const auto done = [&] {
    if (stop_asked != 0) return true;
    return settings.rotations > 0 ? loud.rotations() >= settings.rotations : loud.lines() >= settings.lines;
  };
  while (!done()) {
    const int64_t now = clock.UnixNs();
    const double allowed = settings.mib_per_second > 0 ? settings.mib_per_second * 1048576 * elapsed() : 1e18;
    for (int i = 0; i < 256 && !done() && static_cast<double>(loud.bytes() + loud.buffered()) < allowed; ++i) {
      if (settings.rotations == 0 && loud.lines() >= settings.lines) break;
      loud.Add(now);
    }
    if (loud.buffered() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    loud.Write();
    if (loud.RotationDue()) loud.Rotate(now);
    loud.FinishRotation(loud.IsFarAhead());
    for (; static_cast<double>(quiet_due) < elapsed() * settings.quiet_lines_per_second * static_cast<double>(all.size() - 1); ++quiet_due) {
      Container& quiet = all[1 + quiet_due % (all.size() - 1)];
      quiet.Add(clock.UnixNs());
      quiet.Write();
      if (quiet.RotationDue()) quiet.Rotate(now);
      quiet.FinishRotation(false);
    }
  }
  const double seconds = elapsed();
  for (Container& container : all) container.FinishRotation(true);
  uint64_t bytes = 0, lines = 0;
  for (const Container& container : all) {
    std::printf("%s %llu\n", container.name().c_str(), static_cast<unsigned long long>(container.lines()));
    bytes += container.bytes();
    lines += container.lines();
  }
  std::fprintf(stderr, "wrote %llu lines, %.1f MiB, %llu rotations of the loudest in %.2f s\n",
               static_cast<unsigned long long>(lines), static_cast<double>(bytes) / 1048576,
               static_cast<unsigned long long>(loud.rotations()), seconds);
}

int Main(int argc, char** argv) {
  Settings settings;
  const std::map<std::string, uint64_t*> numbers = {
      {"--containers", &settings.containers}, {"--lines", &settings.lines}, {"--line-bytes", &settings.line_bytes},
      {"--rotate-bytes", &settings.rotate_bytes}, {"--rotations", &settings.rotations}, {"--max-files", &settings.max_files},
      {"--seed", &settings.seed}};
  const std::map<std::string, double*> rates = {{"--mib-per-second", &settings.mib_per_second},
                                                {"--quiet-lines-per-second", &settings.quiet_lines_per_second}};
  if (argc < 2) return std::fprintf(stderr, "usage: log_writer ROOT [--OPTION VALUE]…\n"), 2;
  settings.root = argv[1];
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (const auto number = numbers.find(option); number != numbers.end()) {
      *number->second = ParseUint(argv[i + 1]).value_or(0);
    } else if (const auto rate = rates.find(option); rate != rates.end()) {
      *rate->second = ParseDouble(argv[i + 1]).value_or(0);
    } else if (option == "--style") {
      settings.style = argv[i + 1];
    } else {
      return std::fprintf(stderr, "log_writer: no option %s\n", argv[i]), 2;
    }
  }
  signal(SIGTERM, [](int) { stop_asked = 1; });
  Run(settings);
  return 0;
}

}  // namespace
}  // namespace faultline

int main(int argc, char** argv) { return faultline::Main(argc, argv); }
