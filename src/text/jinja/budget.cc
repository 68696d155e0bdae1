#include "text/jinja/budget.h"

namespace sambay::jinja {

std::string excerpt(std::string_view text) {
  constexpr size_t longest = 60;
  if (text.size() <= longest) {
    return std::string(text);
  }
  size_t end = longest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) {
    --end;
  }
  return std::string(text.substr(0, end)) + "...";
}

void Budget::exhausted() const {
  fault("rendering takes more than {} steps", all_);
}

}  // namespace sambay::jinja
