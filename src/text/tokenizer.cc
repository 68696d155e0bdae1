#include "text/tokenizer.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "text/added_token_finder.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/splitter.h"
#include "text/utf8.h"

namespace sambay {
namespace {

template <class Word>
uint64_t load(const char* bytes) {
  Word word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// Multiply and fold (as wyhash does).
uint64_t fold(uint64_t word) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide{word} * 0xd6e8feb86659fd93U;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// Up to eight bytes themselves, loads of which may overlap; of more a hash.
uint64_t head_of(std::string_view word) {
  const char* p = word.data();
  const size_t n = word.size();
  if (n < 4) {
    const auto byte = [p](size_t i) { return uint64_t{static_cast<unsigned char>(p[i])}; };
    return n == 0 ? 0 : byte(0) | byte(n / 2) << 8 | byte(n - 1) << 16;
  }
  if (n <= 8) {
    return load<uint32_t>(p) | load<uint32_t>(p + n - 4) << 32;
  }
  uint64_t hash = 0;
  for (size_t i = 0; i + 8 < n; i += 8) {
    hash = fold(hash ^ load<uint64_t>(p + i));
  }
  return fold(hash ^ load<uint64_t>(p + n - 8));
}

// Token bytes to ids. Open addressing; most words are found without leaving their slot.
class WordTable {
 public:
  explicit WordTable(const std::vector<VocabEntry>& vocab)
      : vocab_(&vocab), slots_(std::bit_ceil(2 * vocab.size() + 2)) {
    for (size_t id = 0; id < vocab.size(); ++id) {
      const std::string& bytes = vocab[id].bytes;
      if (!vocab[id].literal && !bytes.empty() && bytes.size() <= UINT32_MAX) {
        slots_[slot_of(bytes)] = {head_of(bytes), static_cast<uint32_t>(bytes.size()),
                                  static_cast<int32_t>(id)};
      }
    }
  }

  int32_t find(std::string_view word) const { return slots_[slot_of(word)].id; }  // -1: none

 private:
  struct Slot {
    uint64_t head = 0;
    uint32_t length = 0;
    int32_t id = -1;
  };

  size_t slot_of(std::string_view word) const {
    const uint64_t head = head_of(word);
    size_t at = fold(head ^ word.size()) & (slots_.size() - 1);
    while (slots_[at].id >= 0 && !holds(slots_[at], head, word)) {
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }

  bool holds(const Slot& slot, uint64_t head, std::string_view word) const {
    return slot.head == head && slot.length == word.size() &&
           (word.size() <= 8 || (*vocab_)[static_cast<size_t>(slot.id)].bytes == word);
  }

  const std::vector<VocabEntry>* vocab_;
  std::vector<Slot> slots_;
};

std::vector<int32_t> byte_ids(const WordTable& words) {
  std::vector<int32_t> ids(256);
  for (int byte = 0; byte < 256; ++byte) {
    const char one = static_cast<char>(byte);
    ids[static_cast<size_t>(byte)] = words.find({&one, 1});
    check(ids[static_cast<size_t>(byte)] >= 0, "every byte has a token");
  }
  return ids;
}

}  // namespace

struct Tokenizer::Impl {
  enum Reach : uint8_t { unknown, by_merges, other };

  TokenizerSpec spec;
  WordTable words;
  BpeMerges merges;
  Normalizer normalizer;
  Splitter splitter;
  AddedTokenFinder finder;
  std::unordered_map<std::string_view, int32_t> added_ids;
  std::vector<bool> special;
  // What added tokens decode to where the normalizer changes them: as text, they became that.
  std::unordered_map<int32_t, std::string> normalized_bytes;
  // Whether merging a token's bytes gives that token again, found out when first asked. Most words
  // are such tokens. Threads may find it out twice; they find the same.
  std::unique_ptr<std::atomic<uint8_t>[]> reach;

  Impl(TokenizerSpec&& from, std::string_view tag)
      : spec(std::move(from)),
        words(spec.vocab),
        merges(spec.merges, byte_ids(words)),
        normalizer(spec.normalizer, tag),
        splitter(spec.splits, tag),
        finder(spec.added, normalizer),
        special(spec.vocab.size()),
        reach(new std::atomic<uint8_t>[spec.vocab.size()]()) {
    for (const AddedToken& token : spec.added) {
      added_ids.emplace(token.content, token.id);
      special[static_cast<size_t>(token.id)] = token.special;
      std::string storage;
      if (const auto content = normalizer.apply(token.content, storage);
          token.normalized && content != token.content) {
        normalized_bytes.emplace(token.id, from_byte_level(content).value_or(std::string(content)));
      }
    }
  }

  bool has(int32_t id) const { return id >= 0 && static_cast<size_t>(id) < spec.vocab.size(); }

  void encode_word(std::string_view word, std::vector<int32_t>& ids) const {
    const int32_t whole = words.find(word);
    if (whole < 0) {
      merges.apply(word, ids);
      return;
    }
    auto& known = reach[static_cast<size_t>(whole)];
    switch (spec.ignore_merges ? uint8_t{by_merges} : known.load(std::memory_order_relaxed)) {
      case by_merges:
        ids.push_back(whole);
        break;
      case other:
        merges.apply(word, ids);
        break;
      default: {
        const size_t before = ids.size();
        merges.apply(word, ids);
        known.store(ids.size() == before + 1 && ids.back() == whole ? by_merges : other,
                    std::memory_order_relaxed);
      }
    }
  }

  void encode_normalized(std::string_view text, std::vector<int32_t>& ids) const {
    std::vector<std::string_view> pieces;
    splitter.split(text, pieces);
    for (const std::string_view piece : pieces) {
      encode_word(piece, ids);
    }
  }
};

Tokenizer Tokenizer::load(const std::filesystem::path& path) {
  std::error_code unreadable;  // reported better by reading it
  const auto file =
      std::filesystem::is_directory(path, unreadable) ? path / "tokenizer.json" : path;
  return Tokenizer(read_tokenizer_json(file), file.string());
}

Tokenizer::Tokenizer(TokenizerSpec spec, std::string_view tag)
    : impl_(new Impl(std::move(spec), tag)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::vector<int32_t> Tokenizer::encode(std::string_view text, AddedTokens added) const {
  std::vector<int32_t> ids;
  encode_to(ids, text, added);
  return ids;
}

void Tokenizer::encode_to(std::vector<int32_t>& ids, std::string_view text,
                          AddedTokens added) const {
  std::string storage;
  if (added == AddedTokens::as_text) {
    impl_->encode_normalized(impl_->normalizer.apply(text, storage), ids);
    return;
  }
  for (const auto& part : impl_->finder.split(text)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    const auto normalized = impl_->normalizer.apply(part.text, storage);
    for (const auto& inner : impl_->finder.split_normalized(normalized)) {
      if (inner.id >= 0) {
        ids.push_back(inner.id);
      } else {
        impl_->encode_normalized(inner.text, ids);
      }
    }
  }
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  return utf8_lossy(decode_bytes(ids, skip_special));
}

std::string Tokenizer::decode_bytes(std::span<const int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (!(skip_special && is_special(id))) {
      bytes += bytes_of(id);
    }
  }
  return bytes;
}

std::string_view Tokenizer::bytes_of(int32_t id) const {
  if (const auto& changed = impl_->normalized_bytes; !changed.empty()) {
    if (const auto found = changed.find(id); found != changed.end()) {
      return found->second;
    }
  }
  return impl_->has(id) ? std::string_view(impl_->spec.vocab[static_cast<size_t>(id)].bytes)
                        : std::string_view();
}

int32_t Tokenizer::vocab_size() const {
  return static_cast<int32_t>(impl_->spec.vocab.size());
}

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const {
  if (const auto added = impl_->added_ids.find(token); added != impl_->added_ids.end()) {
    return added->second;
  }
  const int32_t id = impl_->words.find(token);
  return id >= 0 ? std::optional(id) : std::nullopt;
}

bool Tokenizer::is_special(int32_t id) const {
  return impl_->has(id) && impl_->special[static_cast<size_t>(id)];
}

const std::vector<AddedToken>& Tokenizer::added_tokens() const {
  return impl_->spec.added;
}

const TokenizerSpec& Tokenizer::spec() const {
  return impl_->spec;
}

std::string StreamDecoder::push(int32_t id) {
  if (skip_special_ && tokenizer_->is_special(id)) {
    return "";
  }
  pending_ += tokenizer_->bytes_of(id);
  return utf8_take_complete(pending_);
}

std::string StreamDecoder::finish() {
  return utf8_lossy(std::exchange(pending_, {}));
}

}  // namespace sambay
