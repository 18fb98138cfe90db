#include "higgs/text/script.h"

#include <algorithm>
#include <optional>

#include "higgs/text/unicode.h"

namespace higgs {
namespace {

struct Block {
  char32_t first, last;
  Script script;
};

constexpr Block kBlocks[] = {
    {0x0041, 0x005A, Script::kLatin},      {0x0061, 0x007A, Script::kLatin},
    {0x00C0, 0x024F, Script::kLatin},      {0x0400, 0x052F, Script::kCyrillic},
    {0x0600, 0x06FF, Script::kArabic},     {0x0750, 0x077F, Script::kArabic},
    {0x08A0, 0x08FF, Script::kArabic},     {0x0900, 0x097F, Script::kDevanagari},
    {0x1100, 0x11FF, Script::kHangul},     {0x1E00, 0x1EFF, Script::kLatin},
    {0x2DE0, 0x2DFF, Script::kCyrillic},   {0x3005, 0x3007, Script::kHan},
    {0x3040, 0x30FF, Script::kKana},       {0x3130, 0x318F, Script::kHangul},
    {0x31F0, 0x31FF, Script::kKana},       {0x3400, 0x4DBF, Script::kHan},
    {0x4E00, 0x9FFF, Script::kHan},        {0xA640, 0xA69F, Script::kCyrillic},
    {0xA8E0, 0xA8FF, Script::kDevanagari}, {0xAC00, 0xD7FF, Script::kHangul},
    {0xF900, 0xFAFF, Script::kHan},        {0xFB50, 0xFDFF, Script::kArabic},
    {0xFE70, 0xFEFF, Script::kArabic},     {0xFF21, 0xFF3A, Script::kLatin},
    {0xFF41, 0xFF5A, Script::kLatin},      {0xFF66, 0xFF9F, Script::kKana},
    {0x20000, 0x3FFFF, Script::kHan},
};

bool is_digit(char32_t code) {
  return code >= U'0' && code <= U'9';
}

// Signs outside the letters' blocks: Latin-1's, general punctuation to arrows and symbols, CJK's and the wide
// forms', variation selectors, emoji. Also in Arabic and Devanagari, whose blocks hold some.
bool is_sign(char32_t code) {
  return code < 0x00C0 || code == 0x00D7 || code == 0x00F7 || (code >= 0x2000 && code <= 0x2BFF) ||
         (code >= 0x2E00 && code <= 0x2E7F) || (code >= 0x3000 && code <= 0x3004) ||
         (code >= 0x3008 && code <= 0x303F) || code == 0x30FB || (code >= 0xFE00 && code <= 0xFE6F) ||
         (code >= 0xFF00 && code <= 0xFF20) || (code >= 0xFF3B && code <= 0xFF40) ||
         (code >= 0xFF5B && code <= 0xFF65) || (code >= 0x1F000 && code <= 0x1FAFF) || code == 0x060C ||
         code == 0x061B || code == 0x061F || code == 0x0640 || code == 0x0964 || code == 0x0965 ||
         code == 0xFEFF;
}

std::optional<Script> script_of(char32_t code) {
  for (const Block& block : kBlocks) {
    if (code >= block.first && code <= block.last) return block.script;
  }
  return is_sign(code) ? std::nullopt : std::optional(Script::kOther);
}

}  // namespace

const char* name_of(Script script) {
  static constexpr std::array<const char*, kNumScripts> kNames = {
      "Latin", "Cyrillic", "Han", "Kana", "Hangul", "Arabic", "Devanagari", "other"};
  return kNames[static_cast<std::size_t>(script)];
}

WrittenText written_text(std::string_view text) {
  std::array<std::size_t, kNumScripts> counts{};
  WrittenText out;
  while (!text.empty()) {
    const Utf8Character character = first_character(text);
    text.remove_prefix(character.size);
    if (!character.valid) continue;
    const bool digit = is_digit(character.code);
    if (!digit && (is_sign(character.code) && !(character.code < 0x80 && script_of(character.code))))
      continue;
    ++out.num_characters;
    if (!digit) ++counts[static_cast<std::size_t>(*script_of(character.code))];
  }
  const auto most = std::max_element(counts.begin(), counts.end());
  if (*most > 0) out.script = static_cast<Script>(most - counts.begin());
  if (counts[static_cast<std::size_t>(Script::kKana)] > 0 && out.script == Script::kHan)
    out.script = Script::kKana;
  return out;
}

}  // namespace higgs
