// Byte-level BPE: text to token ids and back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tokenizer_json.h"

namespace sambay {

// What becomes of "<|end|>" and the like in a text. Text from outside goes `as_text`: nobody can
// then end a turn or begin another by writing its mark.
enum class AddedTokens { recognised, as_text };

// Immutable: any number of threads may use one.
class Tokenizer {
 public:
  // From a tokenizer.json, or a folder that holds one. Throws Error.
  static Tokenizer load(const std::filesystem::path& path);
  // `tag` stands for the file in errors (a split pattern that does not compile).
  explicit Tokenizer(TokenizerSpec spec, std::string_view tag = "tokenizer");
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // Text may hold any bytes: those that are not UTF-8 are encoded one by one and survive a round
  // trip, as all text does that the tokenizer's normalizer does not change. No begin or end token
  // is added.
  std::vector<int32_t> encode(std::string_view text,
                              AddedTokens added = AddedTokens::recognised) const;
  // Appends to ids.
  void encode_to(std::vector<int32_t>& ids, std::string_view text,
                 AddedTokens added = AddedTokens::recognised) const;

  // Always valid UTF-8: each maximal part that is none becomes U+FFFD. Ids without a token, and
  // special tokens if skip_special, give nothing.
  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const;
  // The bytes as they are.
  std::string decode_bytes(std::span<const int32_t> ids, bool skip_special = false) const;
  std::string_view bytes_of(int32_t id) const;

  // One more than the highest id.
  int32_t vocab_size() const;
  // The id of an added token's content, else of the token with these bytes.
  std::optional<int32_t> id_of(std::string_view token) const;
  bool is_special(int32_t id) const;
  const std::vector<AddedToken>& added_tokens() const;
  // What it was made from.
  const TokenizerSpec& spec() const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

// Decodes a token at a time and gives out complete characters only: the concatenation of all that
// push() and finish() return equals decode() of all ids. The tokenizer must outlive it.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true)
      : tokenizer_(&tokenizer), skip_special_(skip_special) {}

  std::string push(int32_t id);
  // What is left of an incomplete character, as U+FFFD.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_;
  std::string pending_;
};

}  // namespace sambay
