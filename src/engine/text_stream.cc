#include "engine/text_stream.h"

#include <algorithm>
#include <utility>

namespace sambay {
namespace {

// Length of the longest end of `text` that begins, but is not, `stop`.
size_t begun(std::string_view text, std::string_view stop) {
  for (size_t n = std::min(text.size(), stop.size() - 1); n > 0; --n) {
    if (stop.starts_with(text.substr(text.size() - n))) {
      return n;
    }
  }
  return 0;
}

}  // namespace

TextStream::TextStream(const Tokenizer& tokenizer, std::vector<std::string> stops)
    : decoder_(tokenizer), stops_(std::move(stops)) {
  std::erase(stops_, "");
}

std::string TextStream::push(int32_t id) {
  return release(decoder_.push(id));
}

std::string TextStream::release(std::string_view piece) {
  if (stopped_) {
    return {};
  }
  held_ += piece;
  size_t end = held_.size(), hold = 0;
  for (const std::string& stop : stops_) {
    const size_t at = held_.find(stop);
    if (at != std::string::npos) {
      stopped_ = true;
      end = std::min(end, at);
    }
    hold = std::max(hold, begun(held_, stop));
  }
  std::string out = held_.substr(0, stopped_ ? end : end - hold);
  held_.erase(0, out.size());
  return out;
}

std::string TextStream::finish() {
  std::string out = release(decoder_.finish());
  if (!stopped_) {
    out += std::exchange(held_, {});
  }
  return out;
}

}  // namespace sambay
