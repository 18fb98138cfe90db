#include "higgs/data/task_form.h"

#include <gtest/gtest.h>

#include "higgs/base/json.h"
#include "higgs/data/prompt.h"

namespace higgs {
namespace {

Utterance utterance(const std::string& audio, std::vector<Turn> turns) {
  return {audio, 1.25, 4.5, 4.5, std::move(turns), audio};
}

const NameAudio kAsItIs = [](const fs::path& path) { return path.string(); };

constexpr const char* kScene = "\n\n<|scene_desc_start|>\nA hall.\n<|scene_desc_end|>";

TEST(TaskForm, SingleVoice) {
  Utterance whole = utterance("a.wav", {{"ann", "Hi \"you\"."}});
  whole.offset = whole.duration = std::nullopt;
  EXPECT_EQ(chatml_line(single_voice_sample(whole, "", kAsItIs)),
            R"({"messages":[{"role":"system","content":"Generate audio following instruction."},)"
            R"({"role":"user","content":"Hi \"you\"."},)"
            R"({"role":"assistant","content":{"type":"audio","audio_url":"a.wav"}}],"speaker":"ann"})"
            "\n");
}

TEST(TaskForm, CloningSupervisesTheLastTurnAlone) {
  const std::string line = chatml_line(cloning_sample(
      utterance("a.wav", {{"ann", "Hi."}}), utterance("b.wav", {{"ann", "Ho."}}), "A hall.", kAsItIs));
  const ChatMLSample sample = parse_chatml(line, "m:1");
  ASSERT_EQ(sample.messages.size(), 5u);
  EXPECT_EQ(sample.start_index, std::optional<std::int64_t>(4));
  EXPECT_EQ(sample.speaker, std::optional<std::string>("ann"));
  EXPECT_EQ(sample.messages[0].contents[0].text,
            std::string("Generate audio following instruction.") + kScene);
  EXPECT_EQ(sample.messages[1].contents[0].text, "Ho.");
  EXPECT_EQ(sample.messages[2].contents[0].audio->audio_url, "b.wav");
  EXPECT_EQ(sample.messages[3].contents[0].text, "Hi.");
  EXPECT_EQ(sample.messages[4].contents[0].audio->audio_url, "a.wav");
  EXPECT_EQ(sample.messages[4].contents[0].audio->offset, std::optional<double>(1.25));
  EXPECT_EQ(sample.messages[4].contents[0].audio->duration, std::optional<double>(4.5));
}

// What stands before the clip is what `generate` puts there.
TEST(TaskForm, PromptsAreThoseOfGeneration) {
  const Utterance target = utterance("a.wav", {{"ann", "Hi."}}), other = utterance("b.wav", {{"ann", "Ho."}});
  const auto json = [](const ChatMLSample& sample) { return chatml_line(sample); };
  ChatMLSample single = single_voice_sample(target, "A hall.", kAsItIs);
  single.messages.pop_back();
  single.speaker = std::nullopt;
  EXPECT_EQ(json(single), json(generation_prompt(system_text("A hall."), "Hi.", std::nullopt)));
  Reference reference;
  reference.audio.audio_url = "b.wav";
  reference.audio.offset = 1.25;
  reference.audio.duration = 4.5;
  reference.text = "Ho.";
  ChatMLSample clone = cloning_sample(target, other, "A hall.", kAsItIs);
  clone.messages.pop_back();
  clone.speaker = std::nullopt;
  clone.start_index = std::nullopt;
  EXPECT_EQ(json(clone), json(generation_prompt(system_text("A hall."), "Hi.", reference)));
}

TEST(TaskForm, DialogueNumbersSpeakersAsTheyComeAndDescribesThem) {
  const Utterance talk = utterance("a.wav", {{"bob", "Hi."}, {"ann", "Ho."}, {"bob", "He."}});
  const ChatMLSample sample =
      parse_chatml(chatml_line(dialogue_sample(talk, "A hall.", {{"ann", "feminine"}}, kAsItIs)), "m:1");
  ASSERT_EQ(sample.messages.size(), 3u);
  EXPECT_EQ(sample.messages[0].contents[0].text,
            "You are an AI assistant designed to convert text into speech.\nIf the user's message includes a "
            "[SPEAKER*] tag, do not read out the tag and generate speech for the following text, using the "
            "specified voice.\nIf no speaker tag is present, select a suitable voice on your own.\n\n"
            "<|scene_desc_start|>\nA hall.\n\nSPEAKER0: bob\nSPEAKER1: feminine\n<|scene_desc_end|>");
  EXPECT_EQ(sample.messages[1].contents[0].text, "[SPEAKER0] Hi.\n[SPEAKER1] Ho.\n[SPEAKER0] He.");
  EXPECT_EQ(sample.messages[2].contents[0].audio->audio_url, "a.wav");
  EXPECT_FALSE(sample.speaker);
  EXPECT_NE(dialogue_system_text("", {"a"}).find("<|scene_desc_start|>\nSPEAKER0: a\n"), std::string::npos);
}

}  // namespace
}  // namespace higgs
