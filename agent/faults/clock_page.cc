#include "agent/faults/clock_page.h"

#include "common/clock.h"

#if defined(__x86_64__)
// What is copied into the target. Four numbers at its end are filled in: which clocks (a bit each),
// and the offset in whole seconds, nanoseconds and microseconds above them.
extern "C" const char faultline_clock_code[];
extern "C" const char faultline_clock_gettimeofday[];
extern "C" const char faultline_clock_time[];
extern "C" const char faultline_clock_numbers[];
asm(R"(
.pushsection .rodata
.balign 16
.globl faultline_clock_code
faultline_clock_code:
  movl $228, %eax
  syscall
  testl %eax, %eax
  jnz 2f
  movl %edi, %ecx
  cmpl $63, %ecx
  ja 2f
  movq faultline_clock_numbers(%rip), %rdx
  btq %rcx, %rdx
  jnc 2f
  movq faultline_clock_numbers+8(%rip), %rdx
  addq (%rsi), %rdx
  movq faultline_clock_numbers+16(%rip), %rcx
  addq 8(%rsi), %rcx
  cmpq $1000000000, %rcx
  jl 1f
  subq $1000000000, %rcx
  incq %rdx
1:
  movq %rdx, (%rsi)
  movq %rcx, 8(%rsi)
2:
  ret
.globl faultline_clock_gettimeofday
faultline_clock_gettimeofday:
  movl $96, %eax
  syscall
  testl %eax, %eax
  jnz 2f
  testq %rdi, %rdi
  jz 2f
  testb $1, faultline_clock_numbers(%rip)
  jz 2f
  movq faultline_clock_numbers+8(%rip), %rdx
  addq (%rdi), %rdx
  movq faultline_clock_numbers+24(%rip), %rcx
  addq 8(%rdi), %rcx
  cmpq $1000000, %rcx
  jl 1f
  subq $1000000, %rcx
  incq %rdx
1:
  movq %rdx, (%rdi)
  movq %rcx, 8(%rdi)
2:
  ret
.globl faultline_clock_time
faultline_clock_time:
  movl $201, %eax
  syscall
  testb $1, faultline_clock_numbers(%rip)
  jz 2f
  addq faultline_clock_numbers+8(%rip), %rax
  testq %rdi, %rdi
  jz 2f
  movq %rax, (%rdi)
2:
  ret
.balign 8
.globl faultline_clock_numbers
faultline_clock_numbers:
  .quad 0, 0, 0, 0
.popsection
)");
#endif

namespace faultline {

#if defined(__x86_64__)

std::string ClockPage(uint64_t mask, int64_t offset_ns) {
  int64_t seconds = offset_ns / kNsPerSecond;
  int64_t rest_ns = offset_ns % kNsPerSecond;
  if (rest_ns < 0) --seconds, rest_ns += kNsPerSecond;
  const size_t code = static_cast<size_t>(faultline_clock_numbers - faultline_clock_code);
  std::string bytes(faultline_clock_code, code);
  const int64_t numbers[] = {static_cast<int64_t>(mask), seconds, rest_ns, rest_ns / 1000};
  return bytes.append(reinterpret_cast<const char*>(numbers), sizeof numbers);
}

std::string JumpTo(uint64_t address) {
  std::string bytes = "\x48\xb8";  // mov $address, %rax
  bytes.append(reinterpret_cast<const char*>(&address), sizeof address);
  return bytes + "\xff\xe0";  // jmp *%rax
}

uint64_t ClockEntry(std::string_view name) {
  if (name == "gettimeofday")
    return static_cast<uint64_t>(faultline_clock_gettimeofday - faultline_clock_code);
  if (name == "time") return static_cast<uint64_t>(faultline_clock_time - faultline_clock_code);
  return 0;
}

#else

std::string ClockPage(uint64_t, int64_t) { return ""; }
std::string JumpTo(uint64_t) { return ""; }
uint64_t ClockEntry(std::string_view) { return 0; }

#endif

}  // namespace faultline
