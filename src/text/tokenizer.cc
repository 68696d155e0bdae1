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
#include "text/splitter.h"
#include "text/utf8.h"

namespace sambay {
namespace {

// Multiply and fold eight bytes at a time (as wyhash does); equal bytes, equal hash, nothing more.
uint64_t hash_of(std::string_view bytes) {
  __extension__ using Wide = unsigned __int128;
  uint64_t hash = 0x9e3779b97f4a7c15U ^ bytes.size();
  for (size_t at = 0; at < bytes.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min<size_t>(8, bytes.size() - at));
    const Wide product = Wide{hash ^ word} * 0xd6e8feb86659fd93U;
    hash = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  return hash;
}

// Token bytes to ids. Open addressing over the vocabulary's own strings.
class WordTable {
 public:
  explicit WordTable(const std::vector<VocabEntry>& vocab)
      : vocab_(&vocab), ids_(std::bit_ceil(2 * vocab.size() + 2), -1) {
    for (size_t id = 0; id < vocab.size(); ++id) {
      if (!vocab[id].literal && !vocab[id].bytes.empty()) {
        ids_[slot_of(vocab[id].bytes)] = static_cast<int32_t>(id);
      }
    }
  }

  int32_t find(std::string_view word) const { return ids_[slot_of(word)]; }  // -1: none

 private:
  size_t slot_of(std::string_view word) const {
    size_t at = hash_of(word) & (ids_.size() - 1);
    while (ids_[at] >= 0 && (*vocab_)[static_cast<size_t>(ids_[at])].bytes != word) {
      at = (at + 1) & (ids_.size() - 1);
    }
    return at;
  }

  const std::vector<VocabEntry>* vocab_;
  std::vector<int32_t> ids_;
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
  Splitter splitter;
  AddedTokenFinder finder;
  std::unordered_map<std::string_view, int32_t> added_ids;
  std::vector<bool> special;
  // Whether merging a token's bytes gives that token again, found out when first asked. Most words
  // are such tokens. Threads may find it out twice; they find the same.
  std::unique_ptr<std::atomic<uint8_t>[]> reach;

  Impl(TokenizerSpec&& from, std::string_view tag)
      : spec(std::move(from)),
        words(spec.vocab),
        merges(spec.merges, byte_ids(words)),
        splitter(spec.splits, tag),
        finder(spec.added),
        special(spec.vocab.size()),
        reach(new std::atomic<uint8_t>[spec.vocab.size()]()) {
    for (const AddedToken& token : spec.added) {
      added_ids.emplace(token.content, token.id);
      special[static_cast<size_t>(token.id)] = token.special;
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

  void encode_text(std::string_view text, std::vector<int32_t>& ids) const {
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
  if (added == AddedTokens::as_text) {
    impl_->encode_text(text, ids);
    return;
  }
  for (const auto& part : impl_->finder.split(text)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
    } else {
      impl_->encode_text(part.text, ids);
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
