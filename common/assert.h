// Bugs are assertions, on in release too: a wrong invariant stops the program with place and reason.
#pragma once

#include <cstdio>
#include <cstdlib>

#define FAULTLINE_ASSERT(condition, reason)                                                    \
  do {                                                                                         \
    if (!(condition)) [[unlikely]] {                                                           \
      std::fprintf(stderr, "%s:%d: bug: %s (%s)\n", __FILE__, __LINE__, reason, #condition);   \
      std::abort();                                                                            \
    }                                                                                          \
  } while (false)
