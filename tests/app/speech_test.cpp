// The demo's run on recorded human speech: six clips in three languages. The demo's codec was made for
// monotone digits, so what comes out isn't speech; the run has to hold all the same.
#include <cmath>

#include "app_test.h"
#include "higgs/audio/waveform.h"

namespace higgs::test {
namespace {

class Speech : public AppTest {};

TEST_F(Speech, TrainsOnRecordedVoicesAndSpeaks) {
  const auto speech = external("data/speech");
  if (!speech) GTEST_SKIP() << "recorded voices are not part of the repository (HIGGS_TEST_DATA)";
  std::string manifest;
  int clips = 0;
  for (const auto& entry : fs::directory_iterator(*speech)) {
    if (entry.path().extension() != ".wav") continue;
    const fs::path words = fs::path(entry.path()).replace_extension(".txt");
    std::string text = text_of(words);
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
    manifest += spoken(text, fs::absolute(entry.path()).string());
    ++clips;
  }
  ASSERT_EQ(clips, 6);
  const fs::path path = write("speech.jsonl", manifest);
  run(Arguments{"train", "--train_manifest", path, "--val_manifest", path, "--output_dir", scratch / "run",
                "--batch_size", "6", "--auditions", "0", "--max_steps", "3", "--lr", "2e-3", "--warmup",
                "0"} +
      demo_base());
  std::vector<double> held;
  for (const std::string& line : lines_of(text_of(scratch / "run/metrics.jsonl"))) {
    const Json entry = Json::parse(line);
    ASSERT_TRUE(entry["loss"].is_number()) << line;
    ASSERT_TRUE(std::isfinite(entry["loss"].get<double>())) << line;
    if (entry["kind"] == "eval") held.push_back(entry["loss"]);
  }
  ASSERT_EQ(held.size(), 2u);
  EXPECT_LT(held[1], held[0] - 0.05) << "the loss over the clips it was trained on";
  run(Arguments{"generate", "--adapter", scratch / "run/adapter", "--text", "It's the best day of the year.",
                "--out", scratch / "a.wav", "--max_seconds", "2"} +
      demo_base());
  EXPECT_EQ(read_audio_file(scratch / "a.wav").sample_rate, 24000);
}

}  // namespace
}  // namespace higgs::test
