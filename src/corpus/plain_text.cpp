#include "higgs/corpus/plain_text.h"

#include <algorithm>
#include <optional>

#include "higgs/base/error.h"
#include "higgs/text/unicode.h"

namespace higgs {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

std::string utf16_to_utf8(std::string_view bytes, bool big_endian) {
  const auto unit = [&](std::size_t i) -> char32_t {
    const auto first = static_cast<unsigned char>(bytes[i]),
               second = static_cast<unsigned char>(bytes[i + 1]);
    return big_endian ? first << 8 | second : second << 8 | first;
  };
  std::string text;
  text.reserve(bytes.size());
  std::size_t i = 0;
  for (; i + 1 < bytes.size(); i += 2) {
    char32_t code = unit(i);
    const bool is_surrogate = code >= 0xD800 && code < 0xE000;
    if (is_surrogate && code < 0xDC00 && i + 3 < bytes.size() && (unit(i + 2) & 0xFC00) == 0xDC00) {
      code = 0x10000 + ((code & 0x3FF) << 10 | (unit(i + 2) & 0x3FF));
      i += 2;
    } else if (is_surrogate) {
      code = kReplacement;
    }
    append_utf8(text, code);
  }
  if (i < bytes.size()) append_utf8(text, kReplacement);  // half a character
  return text;
}

// The first byte that can't stand in a text.
std::optional<std::size_t> first_fault(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      if (text[i] == '\0') return i;
      ++i;
      continue;
    }
    const Utf8Character character = first_character(text.substr(i));
    if (!character.valid) return i;
    i += character.size;
  }
  return std::nullopt;
}

bool is_spaceless(char32_t code) {  // Chinese, Japanese
  return (code >= 0x2E80 && code <= 0x9FFF) || (code >= 0xF900 && code <= 0xFAFF) ||
         (code >= 0xFF00 && code <= 0xFFEF) || (code >= 0x20000 && code <= 0x3FFFF);
}

std::string_view last_character(std::string_view text) {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return text.substr(begin);
}

bool is_one_of(char32_t code, std::u32string_view all) {
  return all.find(code) != std::u32string_view::npos;
}

}  // namespace

std::string decode_text(std::string_view bytes, const std::string& name) {
  std::string text;
  if (bytes.starts_with("\xEF\xBB\xBF")) {
    text = bytes.substr(3);
  } else if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF")) {
    text = utf16_to_utf8(bytes.substr(2), bytes[0] == '\xFE');
  } else {
    text = bytes;
  }
  if (const auto fault = first_fault(text)) {
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(*fault), '\n');
    throw UserError(name + ":" + std::to_string(line) +
                    (text[*fault] == '\0' ? ": holds a NUL byte, so it is no text; replace the file"
                                          : ": is not UTF-8; convert it: iconv -f LATIN1 -t UTF-8"));
  }
  return text;
}

std::string read_text_file(const fs::path& path, std::size_t max_bytes) {
  return decode_text(read_file(path, max_bytes), path.string());
}

std::string one_line(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  while (!text.empty()) {
    if (const std::size_t space = leading_space(text); space > 0) {
      text.remove_prefix(space);
      if (!line.empty() && !text.empty()) line += ' ';
      continue;
    }
    const std::size_t size = first_character(text).size;
    line += text.substr(0, size);
    text.remove_prefix(size);
  }
  return line;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + (text.substr(end).starts_with("\r\n") ? 2 : 1), text.size()));
  }
  return lines;
}

std::string join_texts(std::string left, std::string_view right) {
  if (!left.empty() && !right.empty() &&
      !(is_spaceless(first_character(last_character(left)).code) &&
        is_spaceless(first_character(right).code))) {
    left += ' ';
  }
  left += right;
  return left;
}

bool ends_sentence(std::string_view text) {
  while (!text.empty()) {
    const std::string_view last = last_character(text);
    const char32_t code = first_character(last).code;
    if (is_one_of(code, U".!?\u2026\u3002\uFF01\uFF1F\u061F\u0964")) return true;
    if (!is_one_of(code, U"\"')]\u2019\u201D\u00BB\u300D\u300F\uFF09")) return false;
    text.remove_suffix(last.size());
  }
  return false;
}

std::string sentence_key(std::string_view text) {
  std::string key;
  while (!text.empty()) {
    const Utf8Character character = first_character(text);
    const auto byte = static_cast<unsigned char>(text[0]);
    const bool is_letter = (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
    const bool is_punctuation = (character.code >= 0x80 && character.code < 0xC0) ||
                                (character.code >= 0x2000 && character.code < 0x2070) ||
                                (character.code >= 0x3000 && character.code < 0x3020);
    if (byte >= 0x80 && !is_punctuation) key += text.substr(0, character.size);
    if (byte < 0x80 && is_letter) key += static_cast<char>(byte | 0x20);
    if (byte >= '0' && byte <= '9') key += static_cast<char>(byte);
    text.remove_prefix(character.size);
  }
  return key;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return result;
}

}  // namespace higgs
