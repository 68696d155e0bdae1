// Texts by characters, as Python's str has them: a text is UTF-8, positions count code points.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sambay::jinja {

// White space in the sense of str.isspace().
bool is_python_space(uint32_t code_point);

int64_t length_of(std::string_view text);
std::vector<std::string_view> characters(std::string_view text);

// The place of the first occurrence in bytes, or npos; linear in the length of both.
size_t find(std::string_view text, std::string_view part);

enum class Ends : uint8_t { left = 1, right = 2, both = 3 };
// Without white space, or without any of the given characters, at its ends.
std::string_view strip(std::string_view text, Ends ends = Ends::both);
std::string_view strip(std::string_view text, std::string_view unwanted, Ends ends);

// str.split: at runs of white space; or at each separator, which is not empty. `most` splits, below
// 0: all. From the right end if `from_right`.
std::vector<std::string_view> split(std::string_view text, int64_t most, bool from_right);
std::vector<std::string_view> split(std::string_view text, std::string_view separator, int64_t most,
                                    bool from_right);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

// str.replace: below 0: all.
std::string replace(std::string_view text, std::string_view from, std::string_view to,
                    int64_t most);

// Non-overlapping occurrences; of an empty text one more than there are characters.
int64_t count(std::string_view text, std::string_view part);

}  // namespace sambay::jinja
