#include "higgs/app/held_out.h"

#include "app_test.h"

namespace higgs::test {
namespace {

using Names = std::vector<std::string>;
using Places = std::vector<std::size_t>;

class HeldOutLines : public AppTest {
 protected:
  // A line with further keys at its top.
  static std::string line(const std::string& text, const Json& more) {
    Json object = Json::parse(spoken(text, "a.wav"));
    object.update(more);
    return object.dump() + "\n";
  }
  HeldOut read(const std::string& lines) const { return read_held_out(write("m.jsonl", lines), false); }
};

TEST_F(HeldOutLines, AreGroupedBySpeaker) {
  const HeldOut held =
      read(line("a", {{"speaker", "Ann"}}) + "\n" + line("b", {{"misc", {{"speaker", "Bob"}}}}) +
           line("c", Json::object()) + line("d", {{"speaker", "Ann"}}));
  EXPECT_EQ(held.speakers.names, (Names{"Ann", "Bob", "(none)"}));
  EXPECT_EQ(held.speakers.of, (Places{0, 1, 2, 0}));
  EXPECT_FALSE(held.speakers.is_one());
  EXPECT_TRUE(held.languages.is_one());
}

// As the manifest says, else by the script of what is said; what is no string says nothing.
TEST_F(HeldOutLines, AreGroupedByLanguage) {
  const HeldOut held = read(line("hello", {{"misc", {{"language", "en"}}}}) +
                            line("Привет, OK", {{"language", 7}}) + line("hola", {{"language", "es"}}) +
                            line("hello", {{"misc", {{"x", 1}}}}) + line("好的", Json::object()));
  EXPECT_EQ(held.languages.names, (Names{"en", "Cyrillic", "es", "Latin", "Han"}));
  EXPECT_EQ(held.languages.of, (Places{0, 1, 2, 3, 4}));
}

TEST_F(HeldOutLines, GivePromptAndRecordingOfTheLastReply) {
  Json silent = Json::parse(spoken("text alone", "b.wav"));
  silent["messages"][2]["content"] = "words";
  const fs::path path =
      write("m.jsonl", spoken("one", "a.wav") + "\n" + silent.dump() + "\n" + spoken("two", "c.wav"));
  const HeldOut held = read_held_out(path, false);
  EXPECT_EQ(held.speakable, (Places{0, 2}));
  const auto prompts = read_prompts(path, false, held.speakable);
  ASSERT_EQ(prompts.size(), 2u);
  EXPECT_EQ(prompts[1].sample, 2u);
  EXPECT_EQ(prompts[1].number, 4u) << "the blank line counts";
  EXPECT_EQ(prompts[1].recorded.audio_url, "c.wav");
  ASSERT_EQ(prompts[1].prompt.messages.size(), 2u);
  EXPECT_EQ(prompts[1].prompt.messages[1].contents[0].text, "two");
}

TEST(SpreadEvenly, TakesFromAllOfTheManifest) {
  Places all;
  for (std::size_t i = 0; i < 100; ++i) all.push_back(i + 5);
  EXPECT_EQ(spread_evenly(all, 4), (Places{5, 30, 55, 80}));
  EXPECT_EQ(spread_evenly(all, 200), all);
  EXPECT_EQ(spread_evenly({3, 4, 9}, 2), (Places{3, 4}));
}

}  // namespace
}  // namespace higgs::test
