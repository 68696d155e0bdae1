// Memory that the process holds, as the system counts it (Linux; 0 elsewhere).
#pragma once

#include <cstddef>

namespace sambay {

size_t resident_bytes();
// The most since the last restart of the count.
size_t resident_peak();
void restart_resident_peak();

}  // namespace sambay
