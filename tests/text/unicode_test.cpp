#include "higgs/text/unicode.h"

#include <gtest/gtest.h>

#include "higgs/text/byte_alphabet.h"

namespace higgs {
namespace {

const std::string kBad = "\xEF\xBF\xBD";

TEST(Utf8, EachMaximalSubpartBecomesOneReplacement) {
  EXPECT_EQ(utf8_lossy("a\xFF"
                       "b"),
            "a" + kBad + "b");
  EXPECT_EQ(utf8_lossy("\xE2\x82"), kBad);  // cut short: one
  EXPECT_EQ(utf8_lossy("\xE2\x82"
                       "a"),
            kBad + "a");
  EXPECT_EQ(utf8_lossy("\xF0\x9F\x98"), kBad);
  EXPECT_EQ(utf8_lossy("\xC0\xAF"), kBad + kBad);  // overlong
  EXPECT_EQ(utf8_lossy("\xE0\x80\x80"), kBad + kBad + kBad);
  EXPECT_EQ(utf8_lossy("\xED\xA0\x80"), kBad + kBad + kBad);  // a surrogate
  EXPECT_EQ(utf8_lossy("\xF4\x90\x80\x80"), kBad + kBad + kBad + kBad);
  EXPECT_EQ(utf8_lossy("\x80\x80"), kBad + kBad);
}

TEST(Utf8, EveryCharacterSurvives) {
  for (char32_t code = 0; code < 0x110000; ++code) {
    if (code >= 0xD800 && code < 0xE000) continue;
    std::string text;
    append_utf8(text, code);
    const Utf8Character character = first_character(text);
    ASSERT_TRUE(character.valid && character.code == code && character.size == text.size())
        << static_cast<std::uint32_t>(code);
  }
}

TEST(Utf8, ValidTextIsToldFromInvalid) {
  EXPECT_TRUE(is_utf8(std::string("\0naïve 😀", 12)));
  EXPECT_FALSE(is_utf8("abc\xC3"));
}

TEST(WhiteSpace, IsCountedAtBothEnds) {
  EXPECT_EQ(leading_space("\t\xE3\x80\x80 a "), 5u);
  EXPECT_EQ(trailing_space(" a \xC2\x85"), 3u);
  EXPECT_EQ(leading_space(""), 0u);
  EXPECT_EQ(trailing_space("   "), 3u);
}

TEST(ByteAlphabet, IsGpt2sTable) {
  EXPECT_EQ(symbol_of_byte('A'), "A");
  EXPECT_EQ(symbol_of_byte(' '), "Ġ");
  EXPECT_EQ(symbol_of_byte('\n'), "Ċ");
  EXPECT_EQ(symbol_of_byte(0x7F), "ġ");
  EXPECT_EQ(symbol_of_byte(0xA0), "ł");
  EXPECT_EQ(symbol_of_byte(0xAD), "Ń");
  EXPECT_EQ(symbol_of_byte(0xFF), "ÿ");
}

TEST(ByteAlphabet, SymbolsGiveTheirBytesBack) {
  std::string bytes, symbols;
  for (int byte = 0; byte < 256; ++byte) {
    bytes.push_back(static_cast<char>(byte));
    symbols += symbol_of_byte(static_cast<unsigned char>(byte));
  }
  EXPECT_EQ(bytes_of_symbols(symbols), bytes);
  EXPECT_EQ(bytes_of_symbols("a b"), std::nullopt);  // a space is no symbol
  EXPECT_EQ(bytes_of_symbols("字"), std::nullopt);
}

}  // namespace
}  // namespace higgs
