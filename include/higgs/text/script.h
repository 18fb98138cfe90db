// Which writing system a text is in: speech runs at another number of characters a second in each.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace higgs {

enum class Script { kLatin, kCyrillic, kHan, kKana, kHangul, kArabic, kDevanagari, kOther };
inline constexpr std::size_t kNumScripts = 8;
inline constexpr std::array<Script, kNumScripts> kScripts = {
    Script::kLatin,  Script::kCyrillic, Script::kHan,        Script::kKana,
    Script::kHangul, Script::kArabic,   Script::kDevanagari, Script::kOther};

const char* name_of(Script script);  // "Latin"

struct WrittenText {
  Script script = Script::kOther;  // of most letters; Japanese is Kana whatever its share of Han
  std::size_t num_characters = 0;  // letters and digits: what is spoken
};

// By Unicode blocks, which is enough to tell writing systems apart. White space and punctuation don't count;
// bytes that are no UTF-8 don't either.
WrittenText written_text(std::string_view text);

}  // namespace higgs
