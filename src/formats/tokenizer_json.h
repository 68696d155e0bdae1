// Hugging Face tokenizer.json, as far as byte-level BPE goes: read into plain data, and written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sambay {

struct VocabEntry {
  std::string bytes;     // what the token decodes to
  bool literal = false;  // its name is outside the byte-level alphabet: no merge ever makes it
};

// The token `merged` replaces `left` `right`; earlier merges go first.
struct Merge {
  int32_t left, right, merged;
};

// A token that is found in the text before it is cut.
struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = true;       // left out when decoding with skip_special
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool single_word = false;  // not within a word
  bool normalized = false;   // sought in normalized text, in what those that are not leave
};

// One change to the text before it is cut.
struct NormalizerStep {
  enum class Kind {
    nfc,
    nfd,
    nfkc,
    nfkd,
    lowercase,
    strip,
    strip_accents,
    prepend,
    replace,
  };
  Kind kind = Kind::nfc;
  bool strip_left = false, strip_right = false;  // of strip
  std::string pattern = {};                      // of replace
  bool is_regex = false;                         // the pattern; or it is the text itself
  std::string content = {};                      // of prepend and replace: what is put there
};

// One pass over the pieces of text: a regular expression and which parts of a piece go on.
struct SplitRule {
  std::string pattern;
  bool keep_matches = true;
  bool keep_gaps = true;
};

struct TokenizerSpec {
  std::vector<VocabEntry> vocab;  // by id; ids without a token have no bytes
  std::vector<Merge> merges;
  std::vector<AddedToken> added;
  std::vector<NormalizerStep> normalizer;  // applied one after the other
  std::vector<SplitRule> splits;           // applied one after the other
  bool ignore_merges = false;              // a word that is a token is that token, merges or not
};

// The split of ByteLevel with use_regex, as in GPT-2.
extern const char* const gpt2_split_pattern;

// Throws Error naming the file and the field for anything that is malformed or beyond byte-level
// BPE (another model type, another kind of normalizer, a missing byte, a merge of unknown
// tokens...).
TokenizerSpec read_tokenizer_json(const std::filesystem::path& path);
// The same from text in memory; `tag` stands for the file in errors.
TokenizerSpec parse_tokenizer_json(std::string_view json, std::string_view tag);

std::string to_tokenizer_json(const TokenizerSpec& spec);

// 16 hexadecimal digits that differ when tokenizers do: a shard names the one that made it.
std::string fingerprint(const TokenizerSpec& spec);

// The byte-level alphabet writes each byte as one printable character: printable Latin-1 as itself,
// the others as U+0100 and up. The order of the 256 characters is the usual order of the ids
// 0..255.
int byte_level_id(unsigned char byte);
std::string to_byte_level(std::string_view bytes);
// Nothing if the name has a character outside the alphabet.
std::optional<std::string> from_byte_level(std::string_view name);

}  // namespace sambay
