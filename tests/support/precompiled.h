// common/precompiled.h's sibling for tests. Nothing may rely on it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/precompiled.h"
