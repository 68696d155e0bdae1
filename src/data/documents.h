// Text files as documents.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "data/shards.h"
#include "text/tokenizer.h"

namespace sambay {

// The bytes of a file, unpacked if its name ends in .gz or .zst. Throws Error naming the file if it
// cannot be read, is damaged or truncated.
std::string read_unpacked(const std::filesystem::path& file);

// What makes a document of a .txt file: the whole file, or each run of lines between blank ones.
enum class DocumentBorder : uint8_t { file, blank_line };

// Calls visit(text) for each document of a .txt or .jsonl file (the string "text" of each line),
// perhaps packed (.txt.gz); empty documents are left out. Throws Error naming file and line if the
// text is not UTF-8, a line is not such an object, or there is no document at all.
void for_each_document(const std::filesystem::path& file, DocumentBorder border,
                       const std::function<void(std::string_view text)>& visit);

// Adds each document, closed by `end_id`, to the shard; returns the bytes of text.
int64_t pack_documents(const std::filesystem::path& file, DocumentBorder border,
                       const Tokenizer& tokenizer, int32_t end_id, ShardWriter& writer);

}  // namespace sambay
