// `generate` with several speakers: the prompts are those that training has.
#include "app_test.h"

namespace higgs::test {
namespace {

constexpr const char* kText = "[SPEAKER0] one two\n[SPEAKER1] three four";
constexpr const char* kDialogue =
    "You are an AI assistant designed to convert text into speech.\n"
    "If the user's message includes a [SPEAKER*] tag, do not read out the tag and generate speech for the "
    "following text, using the specified voice.\n"
    "If no speaker tag is present, select a suitable voice on your own.\n\n<|scene_desc_start|>\n"
    "A hall.\n\n";

class GenerateDialogue : public AppTest {
 protected:
  // Codes of `text`, greedily, and of a manifest with these messages before the answer.
  std::string spoken(const Arguments& how) {
    run(Arguments{"generate", "--out", scratch / "a.wav", "--out_codes", scratch / "a.safetensors",
                  "--greedy", "--max_seconds", "2"} +
        demo_base() + how);
    return text_of(scratch / "a.safetensors");
  }
  std::string spoken_after(std::vector<Json> messages) {
    messages.push_back(answer("voice/clips/val_00.flac"));
    write("m.jsonl", Json{{"messages", messages}}.dump() + "\n");
    return spoken({"--manifest", scratch / "m.jsonl"});
  }
  static Json turn(const char* role, const std::string& text) { return {{"role", role}, {"content", text}}; }
  static Json answer(const std::string& clip) {
    return {{"role", "assistant"}, {"content", {{"type", "audio"}, {"audio_url", demo(clip).string()}}}};
  }
};

TEST_F(GenerateDialogue, SpeakersInWordsAreThoseOfPreparesForm) {
  const std::string want = spoken_after(
      {turn("system", kDialogue + std::string("SPEAKER0: a man\nSPEAKER1: a woman\n<|scene_desc_end|>")),
       turn("user", kText)});
  EXPECT_EQ(spoken({"--text", kText, "--scene", "A hall.", "--speakers", "a man; a woman"}), want);
  EXPECT_NE(spoken({"--text", kText, "--scene", "A hall.", "--speakers", "a man; a child"}), want);
}

TEST_F(GenerateDialogue, WithoutVoicesTheyAlternate) {
  EXPECT_EQ(spoken({"--text", kText, "--scene", "A hall."}),
            spoken({"--text", kText, "--scene", "A hall.", "--speakers", "feminine;masculine"}));
}

TEST_F(GenerateDialogue, EachSpeakersReferenceBearsItsTag) {
  const std::string first = demo_text(0), second = demo_text(1);
  const std::string want = spoken_after(
      {turn("system", "Generate audio following instruction."), turn("user", "[SPEAKER0] " + first),
       answer("voice/clips/val_00.flac"), turn("user", "[SPEAKER1] " + second),
       answer("voice/clips/val_01.flac"), turn("user", kText)});
  const Arguments references = {"--ref_audio", demo("voice/clips/val_00.flac"), "--ref_text", first,
                                "--ref_audio", demo("voice/clips/val_01.flac"), "--ref_text", second};
  const Arguments text = {"--text", kText, "--scene", ""};
  EXPECT_EQ(spoken(text + references), want);
  // Settings as they are printed give the same.
  write("c.toml", run(Arguments{"generate", "--out", scratch / "x.wav", "--print_config"} + demo_base() +
                      text + references)
                      .out);
  EXPECT_EQ(spoken({"--config", scratch / "c.toml"}), want);
}

class DialogueRefusals : public RefusalTest {
 protected:
  Arguments command(const std::string& text) const {
    return Arguments{"generate", "--out", scratch / "a.wav", "--text", text} + demo_base();
  }
};

TEST_F(DialogueRefusals, EverySpeakerNeedsAVoice) {
  const std::string clip = demo("voice/clips/val_00.flac");
  expect_refused(
      command(kText) + Arguments{"--ref_audio", clip, "--ref_text", "one"},
      {"has the tag [SPEAKER1], and there is 1 voice", "give --ref_audio and --ref_text for each"});
  expect_refused(command("[SPEAKER2] one") + Arguments{"--speakers", "a;b"},
                 {"has the tag [SPEAKER2], and there are 2 voices", "--speakers"});
  expect_refused(command(kText) + Arguments{"--speakers", "a;"}, {"--speakers: SPEAKER1 has no description"});
}

TEST_F(DialogueRefusals, ReferencesAndTheirTextsGoTogether) {
  const std::string clip = demo("voice/clips/val_00.flac");
  expect_refused(command(kText) + Arguments{"--ref_audio", clip, "--ref_audio", clip, "--ref_text", "one"},
                 {"--ref_audio is given 2 times, --ref_text once", "same order"});
  expect_refused(command("one") + Arguments{"--ref_text", "one"}, {"--ref_text needs --ref_audio"});
  expect_refused(command(kText) + Arguments{"--ref_audio", clip, "--ref_text", "one", "--speakers", "a;b"},
                 {"--speakers and --ref_audio: give one of them"});
}

}  // namespace
}  // namespace higgs::test
