#include "aggregator/fleet.h"
