#include "perf/resident.h"

#include <fstream>
#include <string>

namespace sambay {
namespace {

size_t status_bytes(const char* field) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == field) {
      size_t kib = 0;
      status >> kib;
      return kib << 10;
    }
  }
  return 0;
}

}  // namespace

size_t resident_bytes() {
  return status_bytes("VmRSS:");
}

size_t resident_peak() {
  return status_bytes("VmHWM:");
}

void restart_resident_peak() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

}  // namespace sambay
