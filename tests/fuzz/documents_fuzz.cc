// The first byte chooses a kind of file: the rest is refused by a one-line Error, or gives
// documents that are not empty and UTF-8.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "data/documents.h"
#include "text/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sambay;
  constexpr std::array names = {"a.txt",   "a.txt.gz",   "a.txt.zst",
                                "a.jsonl", "a.jsonl.gz", "a.jsonl.zst"};
  if (size == 0) {
    return 0;
  }
  const auto* name = names[data[0] % names.size()];
  const auto border = data[0] < 128 ? DocumentBorder::file : DocumentBorder::blank_line;
  int64_t documents = 0;
  try {
    for_each_document({reinterpret_cast<const char*>(data + 1), size - 1}, name, border,
                      [&](std::string_view text) {
                        check(!text.empty(), "a document is not empty");
                        check(utf8_valid_prefix(text) == text.size(), "a document is UTF-8");
                        ++documents;
                      });
    check(documents > 0, "a file that is accepted has a document");
  } catch (const Error& error) {
    check(std::string_view(error.what()).find('\n') == std::string_view::npos,
          "an error is one line");
  }
  return 0;
}
