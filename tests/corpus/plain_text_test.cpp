#include "higgs/corpus/plain_text.h"

#include <gtest/gtest.h>

#include "found.h"
#include "support/paths.h"

namespace higgs {
namespace {

using test::Found;
using test::user_error;
using namespace std::string_literals;

TEST(PlainText, TakesMarksAndUtf16AsWindowsAndPraatWriteThem) {
  EXPECT_EQ(decode_text("\xEF\xBB\xBFzwölf", "t"), "zwölf");
  EXPECT_EQ(decode_text("\xFF\xFEz\0w\0\xF6\0l\0f\0"s, "t"), "zwölf");
  EXPECT_EQ(decode_text("\xFE\xFF\0z\0w\0\xF6\0l\0f"s, "t"), "zwölf");
  EXPECT_EQ(decode_text("\xFE\xFF\xD8\x3D\xDE\x00"s, "t"), "\xF0\x9F\x98\x80");  // a pair of surrogates
  EXPECT_EQ(decode_text("", "t"), "");
}

TEST(PlainText, RefusesOtherBytesByLine) {
  EXPECT_EQ(user_error([] { decode_text("a\nb\nz\xF6lf", "t.txt"); }).rfind("t.txt:3: is not UTF-8; ", 0),
            0u);
  EXPECT_EQ(user_error([] { decode_text("a\n\0"s, "t.txt"); }).rfind("t.txt:2: holds a NUL byte", 0), 0u);
  EXPECT_EQ(decode_text("\xFF\xFEz\0w"s, "t"), "z\xEF\xBF\xBD");        // half a character
  EXPECT_EQ(decode_text("\xFE\xFF\xDC\x00\xD8\x00"s, "t").size(), 6u);  // half pairs
}

TEST(PlainText, BringsATextToOneLineAndLeavesItsLetters) {
  EXPECT_EQ(one_line("\t Ah,  well \r\n\xC2\xA0 Ünd\xE3\x80\x80so.  "), "Ah, well Ünd so.");
  EXPECT_EQ(one_line(" \n "), "");
}

TEST(PlainText, SplitsLinesWhicheverWayTheyEnd) {
  EXPECT_EQ(split_lines("a\r\nb\rc\n\nd"), (std::vector<std::string_view>{"a", "b", "c", "", "d"}));
}

TEST(PlainText, JoinsWithASpaceWhereTheScriptHasThem) {
  EXPECT_EQ(join_texts("one", "two"), "one two");
  EXPECT_EQ(join_texts("你好，", "世界"), "你好，世界");
  EXPECT_EQ(join_texts("你好", "world"), "你好 world");
  EXPECT_EQ(join_texts("", "two"), "two");
}

TEST(PlainText, KnowsTheEndOfASentence) {
  for (const char* text : {"Yes.", "Yes?", "\"Yes!\"", "Yes (no).)", "是。", "Yes…", "«Oui.»"}) {
    EXPECT_TRUE(ends_sentence(text)) << text;
  }
  for (const char* text : {"Yes", "Yes,", "", "\"", "Yes;"}) EXPECT_FALSE(ends_sentence(text)) << text;
}

TEST(PlainText, TwoTextsAreOneSentenceWhateverTheirMarksAndCapitals) {
  EXPECT_EQ(sentence_key("Hello, World!"), sentence_key("hello world"));
  EXPECT_EQ(sentence_key("“Hello” — world…"), sentence_key("hello world"));
  EXPECT_NE(sentence_key("schön"), sentence_key("schon"));
  EXPECT_NE(sentence_key("room 1"), sentence_key("room 2"));
}

TEST(FindingsLines, AreSaidUpToALimitAndCountedBeyondIt) {
  Found found;
  for (int i = 0; i < 200; ++i) {
    found.findings.mistake("a.csv:1: \x1b[31mred");
    found.findings.leave_out("too short", "x");
    found.findings.leave_out("quiet");
  }
  EXPECT_EQ(found.mistakes.size(), Findings::kMostLines);
  EXPECT_EQ(found.left_out.size(), Findings::kMostLines);
  EXPECT_EQ(found.findings.num_mistakes(), 200u);
  EXPECT_EQ(found.count("quiet"), 200u);
  EXPECT_EQ(found.mistakes[0], "a.csv:1: ?[31mred") << "a file must not write to the terminal";
}

}  // namespace
}  // namespace higgs
