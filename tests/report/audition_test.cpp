// Auditions on their way to a listener: files, lines of metrics.jsonl, players.
#include "higgs/report/audition.h"

#include <gtest/gtest.h>

#include <cmath>

#include "events.h"
#include "higgs/report/audition_table.h"
#include "higgs/report/run_log.h"

namespace higgs::test {
namespace {

Waveform tone(double seconds) {
  Waveform wave{{}, 24000};
  for (int i = 0; i < static_cast<int>(24000 * seconds); ++i)
    wave.samples.push_back(0.5f * std::sin(0.05f * static_cast<float>(i)));
  return wave;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

class AuditionTable : public testing::Test {
 protected:
  // Adds a clip with so many bytes of sound.
  void clip(int step, int prompt, std::size_t bytes, bool stopped = true, double seconds = 2.0) {
    const std::string file = "samples/" + std::to_string(step) + "/" + std::to_string(prompt) + ".ogg";
    fs::create_directories((folder / file).parent_path());
    write_text(folder / file, std::string(bytes, 'x'));
    lines.push_back({{"kind", step < 0 ? "reference" : "audition"},
                     {"step", std::max(step, 0)},
                     {"prompt", prompt},
                     {"text", "text " + std::to_string(prompt)},
                     {"file", file},
                     {"clip_seconds", seconds},
                     {"stopped", stopped},
                     {"silent_tail", 0.25 * (1 + prompt)}});
  }
  std::string table(std::size_t most_sound = kMostSound) const {
    return audition_table(lines, folder.path(), most_sound);
  }
  TemporaryFolder folder;
  std::vector<Json> lines;
};

TEST_F(AuditionTable, HasAPlayerForEachPromptAndStep) {
  for (const int step : {-1, 0, 10}) {
    for (const int prompt : {0, 1}) clip(step, prompt, 3);
  }
  const std::string text = table();
  EXPECT_EQ(count(text, "<audio controls preload='none' src='data:audio/ogg;base64,eHh4'></audio>"), 6u)
      << text;
  EXPECT_NE(text.find("<th>recording</th><th>step 0</th><th>step 10</th>"), std::string::npos);
  EXPECT_NE(text.find("<td class='said'>text 1</td>"), std::string::npos);
  EXPECT_EQ(count(text, "did not stop"), 0u);
  EXPECT_EQ(audition_table({}, folder.path()), "");
}

TEST_F(AuditionTable, SaysWhatDidNotStopAndWhatIsNotThere) {
  clip(0, 0, 3, /*stopped=*/false);
  clip(5, 0, 3);
  lines.push_back({{"kind", "audition"}, {"step", 10}, {"prompt", 0}, {"text", "<i>&'\""}, {"file", ""}});
  fs::remove(folder / "samples/5/0.ogg");
  const std::string text = table();
  EXPECT_EQ(count(text, "<audio"), 1u);
  EXPECT_EQ(count(text, "did not stop"), 1u);
  EXPECT_EQ(count(text, "no such file any more"), 1u);
  EXPECT_EQ(count(text, "nothing was said"), 1u);
  EXPECT_NE(text.find("&lt;i&gt;&amp;&#39;&quot;"), std::string::npos) << "texts are no markup";
}

// 300 bytes are 400 in the page.
TEST_F(AuditionTable, LinksWhatDoesNotFitEvenly) {
  for (const int step : {-1, 0, 10, 20, 30, 40}) clip(step, 0, 300);
  EXPECT_EQ(count(table(2400), "<audio"), 6u);
  EXPECT_EQ(count(table(2399), "<audio"), 5u);
  const std::string text = table(1600);
  EXPECT_EQ(count(text, "<audio"), 4u);
  for (const char* linked : {"samples/10/0.ogg", "samples/30/0.ogg"}) {
    EXPECT_NE(text.find(std::string("<a href='") + linked + "'>"), std::string::npos) << linked << text;
  }
  const std::string least = table(400);
  EXPECT_EQ(count(least, "<audio"), 1u);
  EXPECT_EQ(least.find("<a href='samples/40/0.ogg'>"), std::string::npos) << "the last stays inside";
  EXPECT_EQ(count(table(0), "<audio"), 0u);
}

TEST_F(AuditionTable, CountsHowClipsEnd) {
  clip(-1, 0, 3, true, 2.0);
  clip(-1, 1, 3, true, 4.0);
  clip(0, 0, 3, false, 10.0);
  clip(0, 1, 3, true, 4.0);
  EXPECT_NE(
      stop_table(lines).find("<tr><td>0</td><td>1 of 2</td><td>3.00</td><td>0.38 s</td><td>0.50 s</td></tr>"),
      std::string::npos)
      << stop_table(lines);
  EXPECT_EQ(stop_table({}), "");
}

std::vector<Json> lines_in(const fs::path& folder) {
  std::vector<Json> all;
  for (const std::string& line : lines_of(text_of(folder / "metrics.jsonl")))
    all.push_back(Json::parse(line));
  return all;
}

TEST(RunLogAuditions, KeepsTheSoundForReportAndTensorBoard) {
  const TemporaryFolder folder;
  {
    RunLog log(folder.path(), 10);
    log.on_start({0, 2, 0.0, true});
    EXPECT_FALSE(log.has_recordings());
    log.on_reference({0, "one two", tone(1.0)});
    EXPECT_TRUE(log.has_recordings());
    Waveform with_tail = tone(1.0);
    with_tail.samples.resize(36000, 0.0f);
    log.on_audition({2, 0, "one two", with_tail, true});
    log.on_audition({2, 1, "three", {}, true});
    log.write_report();
  }
  const auto lines = lines_in(folder.path());
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0], Json::parse(R"({"kind":"reference","step":0,"prompt":0,"text":"one two",)"
                                  R"("file":"samples/reference/0.ogg","clip_seconds":1.0})"));
  EXPECT_EQ(lines[1]["file"], "samples/step-000002/0.ogg");
  EXPECT_EQ(lines[1]["clip_seconds"], 1.5);
  EXPECT_EQ(lines[1]["stopped"], true);
  EXPECT_NEAR(lines[1]["silent_tail"].get<double>(), 0.5, 0.011);
  EXPECT_EQ(lines[2]["file"], "");
  const Waveform heard = read_audio_file(folder / "samples/step-000002/0.ogg");
  EXPECT_EQ(heard.sample_rate, 24000);
  EXPECT_EQ(heard.samples.size(), 36000u);
  EXPECT_EQ(count(text_of(folder / "report.html"), "<audio"), 2u);
  const auto events = read_events(folder / "tensorboard");
  EXPECT_TRUE(events.dump().find("audition/0/recording") != std::string::npos) << events;
}

// Validated again after a stop: the auditions of that step too, and only once.
TEST(RunLogAuditions, AreTakenOutWithTheirStep) {
  const std::string text =
      "{\"kind\":\"reference\",\"step\":0}\n{\"kind\":\"train\",\"step\":3}\n"
      "{\"kind\":\"audition\",\"step\":3}\n{\"kind\":\"audition\",\"step\":4}\n";
  for (const bool evaluated : {false, true}) {
    const TemporaryFolder folder;
    write_text(folder / "metrics.jsonl", text);
    RunLog log(folder.path(), 100);
    log.on_start({3, 9, 0.0, evaluated});
    EXPECT_EQ(lines_in(folder.path()).size(), evaluated ? 3u : 2u);
    EXPECT_TRUE(log.has_recordings());
  }
}

// A disk that takes nothing: the line says what was heard, and the run goes on.
TEST(RunLogAuditions, ASoundThatCannotBeWrittenEndsNoRun) {
  const TemporaryFolder folder;
  RunLog log(folder.path(), 10);
  log.on_start({0, 2, 0.0, true});
  write_text(folder / "samples", "a file where the folder should be");
  log.on_audition({2, 0, "one two", tone(1.0), true});
  EXPECT_EQ(lines_in(folder.path()).size(), 1u);
}

}  // namespace
}  // namespace higgs::test
