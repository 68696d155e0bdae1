// Unicode's normalization forms: UAX 15, by utf8proc's tables. (Hugging Face's library has those of
// Unicode 9: what it makes of newer characters may differ.)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sambay {

enum class UnicodeForm { nfc, nfd, nfkc, nfkd };

// Whether the text is in another form than this; `out` then gets what it is in this form. Bytes
// that are not UTF-8 stay as they are. Text in which nothing can change is only looked at, and
// nothing takes more than O(n log n).
bool to_form(UnicodeForm form, std::string_view text, std::string& out);

// General category M.
bool is_mark(uint32_t code_point);

}  // namespace sambay
