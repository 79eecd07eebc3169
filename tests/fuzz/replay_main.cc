// Runs a fuzzer over files and folders given as arguments, then over mutations of each (truncations and single flipped
// bytes), so that a plain build without libFuzzer still exercises every decoder with bad input.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

namespace {

size_t runs = 0;

void Run(const std::string& bytes) {
  ++runs;
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

void Replay(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  Run(bytes);
  const size_t stride = bytes.size() / 256 + 1;
  for (size_t i = 0; i < bytes.size(); i += stride) {
    Run(bytes.substr(0, i));
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string mutant = bytes;
      mutant[i] = static_cast<char>(mutant[i] ^ flip);
      Run(mutant);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::filesystem::is_directory(argv[i])) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
        if (entry.is_regular_file()) Replay(entry.path());
      }
    } else {
      Replay(argv[i]);
    }
  }
  if (runs == 0) {
    std::fprintf(stderr, "no corpus found\n");
    return 1;
  }
  std::printf("%zu inputs\n", runs);
  return 0;
}
