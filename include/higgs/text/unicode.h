// UTF-8 and the few character classes that tokenizers ask for.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace higgs {

// The character at the start of a non-empty text. When the bytes are no UTF-8, `valid` is false and `size` is
// the length of the maximal subpart (Unicode 3.9, table 3-8): what one U+FFFD stands for.
struct Utf8Character {
  char32_t code;
  std::size_t size;
  bool valid;
};
Utf8Character first_character(std::string_view text);

bool is_utf8(std::string_view text);
// `bytes` with one U+FFFD in place of each maximal subpart that is no UTF-8, as Python's errors="replace" and
// Rust's from_utf8_lossy do.
std::string utf8_lossy(std::string_view bytes);
void append_utf8(std::string& text, char32_t code);

// Bytes of White_Space characters at the start or at the end of valid UTF-8.
std::size_t leading_space(std::string_view text);
std::size_t trailing_space(std::string_view text);
// Whether valid UTF-8 starts or ends with a word character (UTS 18's \w).
bool starts_with_word(std::string_view text);
bool ends_with_word(std::string_view text);

}  // namespace higgs
