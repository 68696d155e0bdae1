#include "data/documents.h"

#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/files.h"
#include "base/json_fields.h"
#include "text/utf8.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;

constexpr size_t block_bytes = size_t{1} << 17;

std::string gunzip(const std::string& packed, const std::string& where) {
  z_stream stream{};
  constexpr int gzip_window = 15 + 16;
  check(inflateInit2(&stream, gzip_window) == Z_OK, "zlib starts");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, inflateEnd);
  std::string out, block(block_bytes, '\0');
  size_t at = 0;
  int status = Z_STREAM_END;
  while (at < packed.size() || status == Z_OK) {
    if (status == Z_STREAM_END) {
      inflateReset(&stream);  // a file may be several archives end to end
    }
    const size_t given = std::min(packed.size() - at, size_t{1} << 30);
    stream.next_in = reinterpret_cast<const Bytef*>(packed.data() + at);
    stream.avail_in = static_cast<uInt>(given);
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    status = inflate(&stream, Z_NO_FLUSH);
    at += given - stream.avail_in;
    out.append(block, 0, block.size() - stream.avail_out);
    if (status != Z_OK && status != Z_STREAM_END) {
      fail(where, "not a whole gzip file: {}",
           stream.msg != nullptr ? stream.msg : "it is truncated");
    }
  }
  return out;
}

std::string unzstd(const std::string& packed, const std::string& where) {
  const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                   ZSTD_freeDCtx);
  std::string out, block(block_bytes, '\0');
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  size_t status = 0;
  bool full = false;
  while (in.pos < in.size || full) {
    ZSTD_outBuffer to{block.data(), block.size(), 0};
    status = ZSTD_decompressStream(context.get(), &to, &in);
    if (ZSTD_isError(status) != 0) {
      fail(where, "not a zstd file: {}", ZSTD_getErrorName(status));
    }
    out.append(block, 0, to.pos);
    full = to.pos == to.size;
  }
  if (status != 0) {
    fail(where, "not a whole zstd file: it is truncated");
  }
  return out;
}

int64_t line_of(std::string_view text, size_t at) {
  return 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n');
}

// The next line, without its end; `text` loses it.
std::string_view take_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  return line;
}

bool blank(std::string_view line) {
  return line.find_first_not_of(" \t") == std::string_view::npos;
}

using Visit = std::function<void(std::string_view)>;

void visit_blocks(std::string_view text, const Visit& visit) {
  const char* from = text.data();
  const char* to = from;  // of the lines that are not blank
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (!blank(line)) {
      to = line.data() + line.size();
      continue;
    }
    if (to > from) {
      visit({from, static_cast<size_t>(to - from)});
    }
    from = to = text.data();
  }
  if (to > from) {
    visit({from, static_cast<size_t>(to - from)});
  }
}

void visit_json_lines(std::string_view text, const std::string& file, const Visit& visit) {
  for (int64_t number = 1; !text.empty(); ++number) {
    const std::string_view line = take_line(text);
    if (blank(line)) {
      continue;
    }
    const std::string where = fmt::format("{}:{}", file, number);
    const auto object = parse_json(line, where);
    const auto document = JsonFields(object, where).required<std::string>("text");
    if (!document.empty()) {
      visit(document);
    }
  }
}

std::string unpacked(std::string bytes, const fs::path& name) {
  if (name.extension() == ".gz") {
    return gunzip(bytes, name.string());
  }
  if (name.extension() == ".zst") {
    return unzstd(bytes, name.string());
  }
  return bytes;
}

// Throws Error if the name is neither of JSON lines nor of text.
bool holds_json_lines(fs::path name) {
  const std::string whole = name.string();
  if (name.extension() == ".gz" || name.extension() == ".zst") {
    name.replace_extension();
  }
  const bool json = name.extension() == ".jsonl";
  if (!json && name.extension() != ".txt") {
    fail(whole, "unknown kind of file: expected .txt or .jsonl, perhaps with .gz or .zst");
  }
  return json;
}

}  // namespace

void for_each_document(const fs::path& file, DocumentBorder border, const Visit& visit) {
  holds_json_lines(file);  // or it is refused unread
  for_each_document(read_text(file), file, border, visit);
}

void for_each_document(std::string bytes, const fs::path& name, DocumentBorder border,
                       const Visit& visit) {
  const bool json = holds_json_lines(name);
  const std::string text = unpacked(std::move(bytes), name);
  const size_t valid = utf8_valid_prefix(text);
  if (valid < text.size()) {
    fail(fmt::format("{}:{}", name.string(), line_of(text, valid)),
         "not UTF-8: byte {:#04x} at offset {}", static_cast<unsigned char>(text[valid]), valid);
  }
  int64_t documents = 0;
  const Visit counted = [&](std::string_view document) {
    ++documents;
    visit(document);
  };
  if (json) {
    visit_json_lines(text, name.string(), counted);
  } else if (border == DocumentBorder::blank_line) {
    visit_blocks(text, counted);
  } else if (!text.empty()) {
    counted(text);
  }
  if (documents == 0) {
    fail(name.string(), "no text: expected at least one document");
  }
}

int64_t pack_documents(const fs::path& file, DocumentBorder border, const Tokenizer& tokenizer,
                       int32_t end_id, ShardWriter& writer) {
  int64_t bytes = 0;
  std::vector<int32_t> ids;
  for_each_document(file, border, [&](std::string_view text) {
    ids.clear();
    tokenizer.encode_to(ids, text, AddedTokens::as_text);
    ids.push_back(end_id);
    writer.add(ids);
    bytes += static_cast<int64_t>(text.size());
  });
  return bytes;
}

}  // namespace sambay
