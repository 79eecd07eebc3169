#include "agent/probes/elf_functions.h"

#include <cxxabi.h>
#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "agent/probes/nearest_symbol.h"

namespace faultline {
namespace {

constexpr size_t kMaxSegments = 256;
constexpr size_t kMaxSections = 65'536;
constexpr uint64_t kMaxSymbols = 16'000'000;
constexpr size_t kSymbolsAtATime = 4096;
constexpr size_t kMaxNameBytes = 1024;
constexpr size_t kMaxReadableBytes = 256;

bool ReadAt(int file, uint64_t offset, void* to, size_t bytes) {
  if (offset > INT64_MAX) return false;
  return pread(file, to, bytes, static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes);
}

template <typename Row>
std::vector<Row> ReadRows(int file, uint64_t offset, size_t count, size_t most) {
  std::vector<Row> rows(std::min(count, most));
  if (!ReadAt(file, offset, rows.data(), rows.size() * sizeof(Row))) rows.clear();
  return rows;
}

// Where a place in the file is, once it is loaded; 0: nowhere.
uint64_t AddressOf(const std::vector<Elf64_Phdr>& segments, uint64_t offset) {
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type == PT_LOAD && offset >= segment.p_offset &&
        offset - segment.p_offset < segment.p_filesz)
      return offset - segment.p_offset + segment.p_vaddr;
  }
  return 0;
}

bool IsFunction(const Elf64_Sym& symbol) {
  const unsigned type = ELF64_ST_TYPE(symbol.st_info);
  return (type == STT_FUNC || type == STT_GNU_IFUNC) && symbol.st_shndx != SHN_UNDEF;
}

void OfferAll(int file, const Elf64_Shdr& table, NearestSymbol& nearest) {
  const uint64_t count = std::min(table.sh_size / sizeof(Elf64_Sym), kMaxSymbols);
  for (uint64_t at = 0; at < count; at += kSymbolsAtATime) {
    const size_t portion = std::min<uint64_t>(kSymbolsAtATime, count - at);
    const auto symbols = ReadRows<Elf64_Sym>(file, table.sh_offset + at * sizeof(Elf64_Sym),
                                             portion, kSymbolsAtATime);
    if (symbols.empty()) return;  // the file is shorter than it says
    for (const Elf64_Sym& symbol : symbols) {
      if (IsFunction(symbol)) nearest.Offer(symbol.st_value, symbol.st_size, symbol.st_name);
    }
  }
}

std::string NameAt(int file, uint64_t offset) {
  std::string name(kMaxNameBytes, '\0');
  const ssize_t got =
      offset > INT64_MAX ? -1 : pread(file, name.data(), name.size(), static_cast<off_t>(offset));
  name.resize(got < 0 ? 0 : static_cast<size_t>(got));
  name.resize(std::min(name.size(), name.find('\0')));
  return ReadableName(std::move(name));
}

}  // namespace

std::string ReadableName(std::string name) {
  if (name.starts_with("_Z") && name.size() < kMaxNameBytes) {
    int status = 0;
    char* const readable = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
    if (readable != nullptr && status == 0) name = readable;
    std::free(readable);
  }
  if (name.size() > kMaxReadableBytes) name = name.substr(0, kMaxReadableBytes) + "…";
  return name;
}

Result<std::vector<std::string>> FunctionsAt(int file, const std::vector<uint64_t>& offsets) {
  Elf64_Ehdr header{};
  if (!ReadAt(file, 0, &header, sizeof header) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_shentsize != sizeof(Elf64_Shdr) ||
      header.e_phentsize != sizeof(Elf64_Phdr))
    return Fail(ErrorCode::kUnsupported, "not an ELF file of 64 bits with sections");
  const auto segments =
      ReadRows<Elf64_Phdr>(file, header.e_phoff, header.e_phnum, kMaxSegments);
  const auto sections =
      ReadRows<Elf64_Shdr>(file, header.e_shoff, header.e_shnum, kMaxSections);
  std::vector<std::string> names(offsets.size());
  std::vector<uint64_t> addresses(offsets.size());
  std::ranges::transform(offsets, addresses.begin(),
                         [&](uint64_t offset) { return AddressOf(segments, offset); });
  for (const uint32_t kind : {SHT_SYMTAB, SHT_DYNSYM}) {
    const auto table =
        std::ranges::find(sections, kind, [](const Elf64_Shdr& row) { return row.sh_type; });
    if (table == sections.end() || table->sh_link >= sections.size()) continue;
    std::vector<uint64_t> wanted;
    for (size_t i = 0; i < names.size(); ++i) {
      if (names[i].empty() && addresses[i] != 0) wanted.push_back(addresses[i]);
    }
    std::ranges::sort(wanted);
    wanted.erase(std::ranges::unique(wanted).begin(), wanted.end());
    NearestSymbol nearest(std::move(wanted));
    OfferAll(file, *table, nearest);
    const auto& found = nearest.Find();
    for (size_t i = 0; i < names.size(); ++i) {
      const auto at = std::ranges::lower_bound(nearest.addresses(), addresses[i]);
      if (!names[i].empty() || at == nearest.addresses().end() || *at != addresses[i]) continue;
      const auto& symbol = found[static_cast<size_t>(at - nearest.addresses().begin())];
      const bool is_inside = symbol.is_known &&
                             (symbol.bytes == 0 || addresses[i] - symbol.begin < symbol.bytes);
      if (is_inside) names[i] = NameAt(file, sections[table->sh_link].sh_offset + symbol.name);
    }
  }
  return names;
}

}  // namespace faultline
