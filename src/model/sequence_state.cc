#include "model/sequence_state.h"

#include <algorithm>
#include <cstring>

#include "base/hash.h"

namespace sambay {
namespace {

constexpr uint64_t image_magic = 0x3145544154534253;  // "SBSTATE1"
constexpr int64_t max_length = int64_t{1} << 40;

struct ImageHeader {
  uint64_t magic = image_magic;
  uint64_t spec = 0;  // fingerprint
  int64_t length = 0;
  uint64_t content = 0;  // hash of what follows
};

size_t item_bytes(const StateBuffer& buffer) {
  return static_cast<size_t>(buffer.item.elements()) * size_of(buffer.dtype);
}

int64_t pages_for(int64_t tokens) {
  return (tokens + page_tokens - 1) / page_tokens;
}
int64_t items_for(int64_t tokens) {
  return (tokens + ops::tile_keys - 1) / ops::tile_keys;
}

uint64_t fingerprint(const ModelStateSpec& spec) {
  std::string text;
  for (const auto& layer : spec) {
    for (const auto& buffer : layer) {
      text += fmt::format("{} {} {} {} {};", buffer.name, static_cast<int>(buffer.kind),
                          buffer.item.text(), name(buffer.dtype), buffer.capacity);
    }
    text += '|';
  }
  return hash_bytes(std::as_bytes(std::span(text)));
}

// How many items of a buffer an image of `length` tokens holds.
int64_t stored_items(const StateBuffer& buffer, int64_t length) {
  switch (buffer.kind) {
    case StateKind::fixed:
      return 1;
    case StateKind::ring:
      return std::min(length, buffer.capacity);
    case StateKind::growing:
      return items_for(length);
  }
  return 0;
}

Page new_page(const StateBuffer& buffer, Arena& arena) {
  return std::make_shared<Tensor>(
      Tensor::empty({buffer.item[0], page_items, buffer.item[1]}, buffer.dtype, arena));
}

// Calls visit(bytes) for each run of memory that an image holds, in the image's order.
template <class Visit>
void for_each_run(const StateBuffer& spec, LayerState::Buffer& buffer, int64_t length,
                  Visit visit) {
  // The first `slots` of (heads, slots, elements).
  const auto rows = [&](const Tensor& data, int64_t slots) {
    for (int64_t head = 0; head < data.dim(0); ++head) {
      const Tensor run = data.slice(0, head, head + 1).slice(1, 0, slots);
      visit(std::span(static_cast<std::byte*>(run.raw()), run.bytes()));
    }
  };
  switch (spec.kind) {
    case StateKind::fixed:
      visit(std::span(static_cast<std::byte*>(buffer.data.raw()), buffer.data.bytes()));
      break;
    case StateKind::ring:
      rows(buffer.data, std::min(length, spec.capacity));
      break;
    case StateKind::growing:
      for (int64_t page = 0; page < pages_for(length); ++page) {
        rows(*buffer.pages[static_cast<size_t>(page)],
             std::min(page_items, items_for(length) - page * page_items));
      }
      break;
  }
}

}  // namespace

SequenceState::SequenceState(ModelStateSpec spec, Arena& arena)
    : spec_(std::move(spec)), arena_(&arena) {
  for (const auto& layer_spec : spec_) {
    auto& layer = layers_.emplace_back();
    for (const auto& spec_of_buffer : layer_spec) {
      auto& buffer = layer.buffers.emplace_back();
      if (spec_of_buffer.kind == StateKind::fixed) {
        buffer.data = Tensor::zeros(spec_of_buffer.item, spec_of_buffer.dtype, arena);
      } else {
        check(spec_of_buffer.item.rank() == 2, "items of ring and growing have heads");
      }
      if (spec_of_buffer.kind == StateKind::ring) {
        buffer.data =
            Tensor::empty({spec_of_buffer.item[0], spec_of_buffer.capacity, spec_of_buffer.item[1]},
                          spec_of_buffer.dtype, arena);
      }
    }
  }
}

void SequenceState::reserve(int64_t tokens) {
  const int64_t wanted = pages_for(length_ + tokens);
  for (size_t i = 0; i < spec_.size(); ++i) {
    for (size_t b = 0; b < spec_[i].size(); ++b) {
      const StateBuffer& spec = spec_[i][b];
      if (spec.kind != StateKind::growing) {
        continue;
      }
      auto& pages = layers_[i].buffers[b].pages;
      for (int64_t p = length_ / page_tokens; p < wanted; ++p) {
        const auto index = static_cast<size_t>(p);
        if (index == pages.size()) {
          pages.push_back(new_page(spec, *arena_));
        } else if (pages[index].use_count() > 1) {
          Page own = new_page(spec, *arena_);
          if (p * page_tokens < length_) {
            own->copy_from(*pages[index]);
          }
          pages[index] = std::move(own);
        }
      }
    }
  }
}

void SequenceState::reset() {
  length_ = 0;
  for (size_t i = 0; i < spec_.size(); ++i) {
    for (size_t b = 0; b < spec_[i].size(); ++b) {
      if (spec_[i][b].kind == StateKind::fixed) {
        layers_[i].buffers[b].data.zero();
      }
    }
  }
}

SequenceState SequenceState::fork() const {
  SequenceState copy = *this;
  for (auto& layer : copy.layers_) {
    for (auto& buffer : layer.buffers) {
      if (buffer.data.defined()) {
        buffer.data = buffer.data.clone();
      }
      // A last page that is not full stays shared until reserve() finds one of the two writing.
      buffer.pages.resize(std::min(buffer.pages.size(), static_cast<size_t>(pages_for(length_))));
    }
  }
  return copy;
}

size_t SequenceState::bytes() const {
  size_t total = 0;
  for (const auto& layer : layers_) {
    for (const auto& buffer : layer.buffers) {
      total += buffer.data.defined() ? buffer.data.bytes() : 0;
      for (const auto& page : buffer.pages) {
        total += page->bytes();
      }
    }
  }
  return total;
}

std::vector<std::byte> SequenceState::save() const {
  std::vector<std::byte> image(sizeof(ImageHeader));
  for (size_t i = 0; i < spec_.size(); ++i) {
    for (size_t b = 0; b < spec_[i].size(); ++b) {
      LayerState::Buffer buffer = layers_[i].buffers[b];
      for_each_run(spec_[i][b], buffer, length_, [&](std::span<const std::byte> run) {
        image.insert(image.end(), run.begin(), run.end());
      });
    }
  }
  const ImageHeader header{image_magic, fingerprint(spec_), length_,
                           hash_bytes(std::span(image).subspan(sizeof(ImageHeader)))};
  std::memcpy(image.data(), &header, sizeof header);
  return image;
}

void SequenceState::restore(std::span<const std::byte> image) {
  ImageHeader header;
  if (image.size() < sizeof header) {
    fail("state", "an image of {} bytes is truncated", image.size());
  }
  std::memcpy(&header, image.data(), sizeof header);
  if (header.magic != image_magic) {
    fail("state", "not the image of a state");
  }
  if (header.spec != fingerprint(spec_)) {
    fail("state", "the image is of another model or precision");
  }
  if (header.length < 0 || header.length > max_length) {
    fail("state", "length: {} is not from 0 to {}", header.length, max_length);
  }
  size_t expected = sizeof header;
  for (const auto& layer : spec_) {
    for (const auto& buffer : layer) {
      expected += item_bytes(buffer) * static_cast<size_t>(stored_items(buffer, header.length));
    }
  }
  if (image.size() != expected) {
    fail("state", "an image of {} tokens has {} bytes, got {}", header.length, expected,
         image.size());
  }
  // Damage, not malice: a forged image may hold any numbers.
  if (hash_bytes(image.subspan(sizeof header)) != header.content) {
    fail("state", "the image is damaged");
  }

  reset();
  reserve(header.length);
  length_ = header.length;
  const std::byte* from = image.data() + sizeof header;
  for (size_t i = 0; i < spec_.size(); ++i) {
    for (size_t b = 0; b < spec_[i].size(); ++b) {
      for_each_run(spec_[i][b], layers_[i].buffers[b], length_, [&](std::span<std::byte> run) {
        std::memcpy(run.data(), from, run.size());
        from += run.size();
      });
    }
  }
}

size_t state_bytes(const ModelStateSpec& spec, int64_t tokens) {
  size_t total = 0;
  for (const auto& layer : spec) {
    for (const auto& buffer : layer) {
      const int64_t items = buffer.kind == StateKind::fixed  ? 1
                            : buffer.kind == StateKind::ring ? buffer.capacity
                                                             : pages_for(tokens) * page_items;
      total += item_bytes(buffer) * static_cast<size_t>(items);
    }
  }
  return total;
}

}  // namespace sambay
