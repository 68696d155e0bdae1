#include "engine/text_stream.h"

#include <algorithm>
#include <utility>

#include "text/partial_match.h"

namespace sambay {

TextStream::TextStream(const Tokenizer& tokenizer, std::vector<std::string> stops,
                       std::vector<int32_t> shown)
    : tokenizer_(&tokenizer),
      decoder_(tokenizer),
      shown_(std::move(shown)),
      stops_(std::move(stops)) {
  std::erase(stops_, "");
}

std::string TextStream::push(int32_t id) {
  if (std::find(shown_.begin(), shown_.end(), id) != shown_.end()) {
    return release(decoder_.finish().append(tokenizer_->bytes_of(id)));
  }
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
    hold = std::max(hold, begun_length(held_, stop));
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
