#include "higgs/text/script.h"

#include <gtest/gtest.h>

namespace higgs {
namespace {

void expect_text(const char* text, Script script, std::size_t num_characters) {
  const WrittenText written = written_text(text);
  EXPECT_STREQ(name_of(written.script), name_of(script)) << text;
  EXPECT_EQ(written.num_characters, num_characters) << text;
}

TEST(Script, IsThatOfMostLetters) {
  expect_text("Hello, world!", Script::kLatin, 10);
  expect_text("Über “alles” – 12.", Script::kLatin, 11);
  expect_text("Привет, мир", Script::kCyrillic, 9);
  expect_text("你好,世界。", Script::kHan, 4);
  expect_text("안녕하세요", Script::kHangul, 5);
  expect_text("مرحبا، كيف؟", Script::kArabic, 8);
  expect_text("नमस्ते।", Script::kDevanagari, 6);
  expect_text("γειά σου", Script::kOther, 7);
  expect_text("OK, давай", Script::kCyrillic, 7);
}

TEST(Script, JapaneseIsKanaWhateverItsShareOfHan) {
  expect_text("東京都知事選挙の日", Script::kKana, 9);
}

TEST(Script, SignsAndBrokenBytesAreNotSpoken) {
  expect_text("", Script::kOther, 0);
  expect_text(" ... ?! ,\xF0\x9F\x98\x80 ", Script::kOther, 0);
  expect_text("a\xFF\xFE", Script::kLatin, 1);
  expect_text("12", Script::kOther, 2);
}

}  // namespace
}  // namespace higgs
