// A library needs a source; what matters here is precompiled.h.
#include "tests/support/precompiled.h"
