// Where long texts are cut.
#include "higgs/text/chunks.h"

#include <gtest/gtest.h>

#include "higgs/text/unicode.h"

namespace higgs {
namespace {

using Chunks = std::vector<std::string>;

TEST(TextChunks, AShortTextAndNoLimitLeaveItAsItIs) {
  EXPECT_EQ(text_chunks("  One. Two. ", 12), Chunks{"  One. Two. "});
  EXPECT_EQ(text_chunks("One. Two. Three.", 0), Chunks{"One. Two. Three."});
  EXPECT_EQ(text_chunks("", 5), Chunks{""});
  EXPECT_EQ(text_chunks("          ", 5), Chunks{"          "});
}

TEST(TextChunks, SentencesStandTogetherWhileTheyFit) {
  EXPECT_EQ(text_chunks("One two. Three! Four five? Six.", 16),
            (Chunks{"One two. Three!", "Four five? Six."}));
  EXPECT_EQ(text_chunks("He said \"Stop!\" Then he left.", 16),
            (Chunks{"He said \"Stop!\"", "Then he left."}));
  EXPECT_EQ(text_chunks("It was late\u2026 Nobody came.", 16), (Chunks{"It was late\u2026", "Nobody came."}));
  EXPECT_EQ(text_chunks("A title\n\nThe text, which goes on", 20),
            (Chunks{"A title", "The text,", "which goes on"}))
      << "an empty line ends a paragraph";
}

TEST(TextChunks, WithoutASentencesEndCommasAndThenSpacesAreTaken) {
  EXPECT_EQ(text_chunks("one two three, four five six seven", 20),
            (Chunks{"one two three,", "four five six seven"}));
  EXPECT_EQ(text_chunks("one two; three four five", 12), (Chunks{"one two;", "three four", "five"}));
  EXPECT_EQ(text_chunks("one two three four", 9), (Chunks{"one two", "three", "four"}));
}

TEST(TextChunks, AWordIsNeverCut) {
  EXPECT_EQ(text_chunks("Donaudampfschifffahrt is long", 8), (Chunks{"Donaudampfschifffahrt", "is long"}));
  EXPECT_EQ(text_chunks("https://example.org/a,b.html?c=d is", 8),
            (Chunks{"https://example.org/a,b.html?c=d", "is"}));
  EXPECT_EQ(text_chunks("a no-break\u00A0space", 8), (Chunks{"a", "no-break\u00A0space"}));
}

TEST(TextChunks, AbbreviationsAndNumbersAreNoSentencesEnd) {
  EXPECT_EQ(text_chunks("It is late. Dr. Who came by.", 17), (Chunks{"It is late.", "Dr. Who came by."}));
  EXPECT_EQ(text_chunks("All in all. It is 3.5 km or 1,000 m.", 20),
            (Chunks{"All in all.", "It is 3.5 km or", "1,000 m."}));
  EXPECT_EQ(text_chunks("See fruit, e.g. Apples and J. Smith. More of it.", 22),
            (Chunks{"See fruit,", "e.g. Apples and", "J. Smith. More of it."}));
  EXPECT_EQ(text_chunks("Oh yes. No. 5 is alive. No. I am not.", 16),
            (Chunks{"Oh yes.", "No. 5 is alive.", "No. I am not."}));
  EXPECT_EQ(text_chunks("It began in 1990. Then it rained.", 20),
            (Chunks{"It began in 1990.", "Then it rained."}));
  EXPECT_EQ(text_chunks("Es war am 3. Mai. Dann kam er.", 18), (Chunks{"Es war am 3. Mai.", "Dann kam er."}));
  EXPECT_EQ(text_chunks("cats, dogs etc. and more of it", 22),
            (Chunks{"cats,", "dogs etc. and more of", "it"}))
      << "a small letter goes on with the sentence";
}

TEST(TextChunks, ChineseAndJapaneseNeedNoSpaces) {
  EXPECT_EQ(text_chunks("今天天气很好。我们去公园吧！好吗？", 8),
            (Chunks{"今天天气很好。", "我们去公园吧！", "好吗？"}));
  EXPECT_EQ(text_chunks("「はい。」と言った、それから帰った。", 10),
            (Chunks{"「はい。」", "と言った、", "それから帰った。"}));
}

TEST(TextChunks, CharactersAreCountedNotBytes) {
  EXPECT_EQ(text_chunks("Ärger über Öl.", 14), Chunks{"Ärger über Öl."});
  EXPECT_EQ(text_chunks("да да да", 5), (Chunks{"да да", "да"}));
}

TEST(TextChunks, BytesThatAreNoUtf8AreKeptWhole) {
  const std::string bad = "one \xFF\xFE two \xE4\xB8 three \xF0\x9F\x98";
  std::string joined;
  for (const std::string& chunk : text_chunks(bad, 6)) joined += (joined.empty() ? "" : " ") + chunk;
  EXPECT_EQ(joined, bad);
  EXPECT_EQ(text_chunks("\x80\x80\x80\x80", 2), Chunks{"\x80\x80\x80\x80"});
}

// Whatever the limit: nothing is lost but white space, characters stay whole, and only a single word is
// longer.
TEST(TextChunks, NothingIsLost) {
  const std::string text =
      "Dr. Müller sagte: \"Das kostet 3.50 €!\" Wirklich? Ja… 今天很好。再见, und so weiter; bis z.B. "
      "morgen.\n\nEnde";
  const auto squeezed = [](const std::string& s) {
    std::string out;
    for (const char c : s) {
      if (c != ' ' && c != '\n') out += c;
    }
    return out;
  };
  for (std::size_t limit = 1; limit < 130; ++limit) {
    std::string all;
    for (const std::string& chunk : text_chunks(text, limit)) {
      EXPECT_FALSE(chunk.empty());
      EXPECT_TRUE(is_utf8(chunk)) << limit;
      all += chunk;
    }
    EXPECT_EQ(squeezed(all), squeezed(text)) << limit;
  }
}

TEST(TextChunks, TurnsOfADialogueStandTogetherAndLongOnesRepeatTheirTag) {
  EXPECT_EQ(text_chunks("[SPEAKER0] Hello.\n[SPEAKER1] Hi.\n[SPEAKER0] Bye.", 36),
            (Chunks{"[SPEAKER0] Hello.\n[SPEAKER1] Hi.", "[SPEAKER0] Bye."}));
  EXPECT_EQ(text_chunks("[SPEAKER1] One two. Three four. [SPEAKER0] Five.", 22),
            (Chunks{"[SPEAKER1] One two.", "[SPEAKER1] Three four.", "[SPEAKER0] Five."}));
}

TEST(NumSpeakers, IsTheLargestNumberAndOne) {
  EXPECT_EQ(num_speakers("no tag [SPEAKER] [SPEAKERX] [SPEAKER100]"), 0u);
  EXPECT_EQ(num_speakers("[SPEAKER0] a"), 1u);
  EXPECT_EQ(num_speakers("[SPEAKER2] a [SPEAKER0] b"), 3u);
}

}  // namespace
}  // namespace higgs
