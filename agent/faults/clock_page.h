// The page of code that clock_offset puts into a process whose clocks it moves: it asks the kernel,
// and adds the offset. Pure; x86-64 (elsewhere all of it is empty).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace faultline {

constexpr uint64_t kClockPageBytes = 4096;
constexpr size_t kJumpBytes = 12;  // of JumpTo

// `mask`: a bit for each clock (its number in clock_gettime(2)) that is moved.
std::string ClockPage(uint64_t mask, int64_t offset_ns);
// Where in the page the stand-in for a function of the vDSO begins: clock_gettime, gettimeofday,
// time.
uint64_t ClockEntry(std::string_view name);
// Code that goes on at `address`; it changes rax.
std::string JumpTo(uint64_t address);

}  // namespace faultline
