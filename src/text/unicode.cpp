#include "higgs/text/unicode.h"

#include "higgs/base/error.h"
#include "higgs/text/split_regex.h"

namespace higgs {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

// What a lead byte promises: the length, and the range of the byte after it, which is narrower than 80..BF
// where a sequence could be overlong, a surrogate or beyond U+10FFFF.
struct Lead {
  std::size_t size;
  unsigned char low = 0x80, high = 0xBF;
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {1};
  if (byte < 0xC2) return {0};
  if (byte < 0xE0) return {2};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0};
}

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

// The last character of valid UTF-8.
std::string_view last_character(std::string_view text) {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return text.substr(begin);
}

}  // namespace

Utf8Character first_character(std::string_view text) {
  HIGGS_ASSERT(!text.empty());
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const Lead lead = lead_of(byte(0));
  if (lead.size == 0) return {kReplacement, 1, false};
  if (lead.size == 1) return {byte(0), 1, true};
  char32_t code = byte(0) & (0xFFu >> (lead.size + 1));
  for (std::size_t i = 1; i < lead.size; ++i) {
    const unsigned char low = i == 1 ? lead.low : 0x80;
    const unsigned char high = i == 1 ? lead.high : 0xBF;
    if (i >= text.size() || byte(i) < low || byte(i) > high) return {kReplacement, i, false};
    code = (code << 6) | (byte(i) & 0x3Fu);
  }
  return {code, lead.size, true};
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Utf8Character character = first_character(text);
    if (!character.valid) return false;
    text.remove_prefix(character.size);
  }
  return true;
}

std::string utf8_lossy(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const Utf8Character character = first_character(bytes);
    if (character.valid) {
      text.append(bytes.substr(0, character.size));
    } else {
      append_utf8(text, kReplacement);
    }
    bytes.remove_prefix(character.size);
  }
  return text;
}

void append_utf8(std::string& text, char32_t code) {
  const auto tail = [&](int shift) { text.push_back(static_cast<char>(0x80 | ((code >> shift) & 0x3F))); };
  if (code < 0x80) {
    text.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    text.push_back(static_cast<char>(0xC0 | (code >> 6)));
    tail(0);
  } else if (code < 0x10000) {
    text.push_back(static_cast<char>(0xE0 | (code >> 12)));
    tail(6);
    tail(0);
  } else {
    text.push_back(static_cast<char>(0xF0 | (code >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

std::size_t leading_space(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size()) {
    const Utf8Character character = first_character(text.substr(size));
    if (!is_white_space(character.code)) break;
    size += character.size;
  }
  return size;
}

std::size_t trailing_space(std::string_view text) {
  std::size_t rest = text.size();
  while (rest > 0) {
    const std::string_view last = last_character(text.substr(0, rest));
    if (!is_white_space(first_character(last).code)) break;
    rest -= last.size();
  }
  return text.size() - rest;
}

bool starts_with_word(std::string_view text) {
  static const SplitRegex word(R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}])", "word characters");
  return !text.empty() && word.matches(text.substr(0, first_character(text).size));
}

bool ends_with_word(std::string_view text) {
  return !text.empty() && starts_with_word(last_character(text));
}

}  // namespace higgs
