#include "higgs/data/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "dataset_case.h"
#include "higgs/base/json.h"
#include "higgs/data/batch_loader.h"
#include "higgs/data/prompt.h"
#include "support/paths.h"

namespace higgs {
namespace {

class DatasetTest : public test::DatasetCase {
 protected:
  std::string line(const std::string& system, const std::string& text, const std::string& clip) {
    return R"({"messages":[{"role":"system","content":")" + system + R"("},{"role":"user","content":")" +
           text + R"("},{"role":"assistant","content":{"type":"audio","audio_url":")" + clip + R"("}}]})" +
           "\n";
  }
};

TEST_F(DatasetTest, ABadLineStopsEverythingUnlessItIsToBeSkipped) {
  const std::string lines =
      line("s", "a", "c0.safetensors") + "{broken\n" + line("s", "b", "none.safetensors");
  const std::string message = test::user_error([&] { load(lines); });
  EXPECT_NE(message.find("m.jsonl:2"), std::string::npos) << message;
  DatasetOptions skip;
  skip.skip_bad_samples = true;
  const Dataset dataset = load(lines, skip);
  EXPECT_EQ(dataset.size(), 1u);
  EXPECT_EQ(dataset.num_skipped(), 2u);
}

TEST_F(DatasetTest, SamplesAreNeverCut) {
  const std::string lines = line("s", "a", "c0.safetensors");
  const std::int64_t length = load(lines).length(0);
  DatasetOptions options;
  options.max_tokens = length;
  EXPECT_EQ(load(lines, options).size(), 1u);
  options.max_tokens = length - 1;
  EXPECT_NE(test::user_error([&] { load(lines, options); }).find("more than --max_tokens"),
            std::string::npos);
  options.skip_too_long = true;
  EXPECT_NE(test::user_error([&] { load(lines, options); }).find("no usable sample"), std::string::npos);
}

TEST_F(DatasetTest, LengthIsThatOfThePackedSample) {
  const Dataset dataset = load(line("s", "a", "c0.safetensors"));
  EXPECT_EQ(make_batch(dataset, {{0}, {}}, ids).num_rows, dataset.length(0));
}

// A base with an audio tower: user clips are heard, and found again when a batch is made.
class HeardClips : public DatasetTest {
 protected:
  HeardClips() {
    ids.encode_audio_in = false;
    ids.whisper = WhisperOptions{16, 200, 32000};
    fs::copy_file(test::golden("hf/synthetic/sweep_24k.wav"), folder / "sweep.wav");
    fs::copy_file(test::golden("hf/synthetic/digits_24k.wav"), folder / "digits.wav");
  }
  // The user plays a clip; the assistant speaks one of codes.
  static std::string heard(const std::string& clip, const std::string& more = "") {
    return R"({"messages":[{"role":"user","content":{"type":"audio","audio_url":")" + clip + "\"" + more +
           R"(}},{"role":"assistant","content":{"type":"audio","audio_url":"c0.safetensors"}}]})" + "\n";
  }
  std::int64_t num_rows(const Dataset& dataset) { return make_batch(dataset, {{0}, {}}, ids).num_rows; }
};

// The store has no codec: codes of clips that are only heard are not asked for.
TEST_F(HeardClips, BecomeFeaturesWithoutCodes) {
  const Dataset sweep = load(heard("sweep.wav")), digits = load(heard("digits.wav"));
  EXPECT_EQ(sweep.sample(0).heard[0].num_samples, 8000);
  EXPECT_EQ(num_rows(sweep), sweep.length(0));
  EXPECT_EQ(num_rows(digits), digits.length(0));
  EXPECT_EQ(digits.length(0) - sweep.length(0), num_feature_rows(132) - num_feature_rows(50));
  EXPECT_NE(sweep.fingerprint(), load(heard("sweep.wav", R"(,"duration":0.4)")).fingerprint());
  EXPECT_EQ(sweep.fingerprint(), load(heard("sweep.wav")).fingerprint());
}

TEST_F(HeardClips, ThatGoAwayAreNamedWhenABatchIsMade) {
  const Dataset dataset = load(heard("sweep.wav"));
  fs::copy_file(folder / "digits.wav", folder / "sweep.wav", fs::copy_options::overwrite_existing);
  EXPECT_NE(test::user_error([&] { num_rows(dataset); }).find("m.jsonl:1: a clip has changed"),
            std::string::npos);
  fs::remove(folder / "sweep.wav");
  EXPECT_NE(test::user_error([&] { num_rows(dataset); }).find("sweep.wav: no such clip"), std::string::npos);
}

TEST_F(HeardClips, ThatCannotBeTakenAreNamedAtTheStart) {
  EXPECT_NE(test::user_error([&] { load(heard("c0.safetensors")); }).find("give the recording, not codes"),
            std::string::npos);
  ids.whisper->chunk_samples = 16000;
  EXPECT_NE(test::user_error([&] { load(heard("digits.wav")); }).find("lasts more than 1 s"),
            std::string::npos);
  const std::string spoken_first =
      R"({"messages":[{"role":"assistant","content":{"type":"audio","audio_url":"c0.safetensors"}},)"
      R"({"role":"user","content":{"type":"audio","audio_url":"sweep.wav"}}]})";
  EXPECT_NE(test::user_error([&] { load(spoken_first + "\n"); }).find("comes after one that is spoken"),
            std::string::npos);
}

TEST_F(DatasetTest, RemembersThePromptGenerationShallFollow) {
  EXPECT_EQ(load(line("same", "a", "c0.safetensors") + line("same", "b", "c0.safetensors")).system_text,
            "same");
  EXPECT_EQ(load(line("one", "a", "c0.safetensors") + line("two", "b", "c0.safetensors")).system_text, "");
  // 23 frames at 25 a second over the four bytes of the text, which the tokenizer here takes for four tokens.
  EXPECT_DOUBLE_EQ(load(line("s", "abcd", "c0.safetensors")).seconds_per_text_token, 23.0 / 25.0 / 4.0);
}

TEST_F(DatasetTest, SplitTakesEveryKthSampleOut) {
  std::string lines;
  for (int i = 0; i < 10; ++i)
    lines += line("s", std::string(static_cast<std::size_t>(i + 1), 'x'), "c0.safetensors");
  Dataset dataset = load(lines);
  const std::int64_t third = dataset.length(2), fourth = dataset.length(3);
  const Dataset taken = dataset.split_every(3);
  EXPECT_EQ(taken.size(), 3u);
  EXPECT_EQ(dataset.size(), 7u);
  EXPECT_EQ(taken.length(0), third);
  EXPECT_EQ(dataset.length(2), fourth);
  for (const std::size_t k : {2, 3, 4, 10}) {
    Dataset rest = load(lines);
    const Dataset every = rest.split_every(k);
    std::vector<std::string> split, taken_lines;
    for (std::size_t i = 0; i < rest.size(); ++i) split.push_back(rest.where(i));
    for (std::size_t i = 0; i < every.size(); ++i) taken_lines.push_back(every.where(i));
    for (std::size_t i = 0; i < every.size(); ++i) {
      EXPECT_EQ(taken_lines[i], (folder / "m.jsonl").string() + ":" + std::to_string((i + 1) * k));
    }
    EXPECT_TRUE(std::is_sorted(split.begin(), split.end() - 1));
    split.insert(split.end(), taken_lines.begin(), taken_lines.end());
    EXPECT_EQ(std::set<std::string>(split.begin(), split.end()).size(), 10u);
    EXPECT_NE(rest.fingerprint(), every.fingerprint());
  }
}

// Lines are read on threads; the result is the same, bad lines included.
TEST_F(DatasetTest, ThreadsReadTheSame) {
  std::string lines;
  for (int i = 0; i < 300; ++i) {
    lines += i % 50 == 7 ? "{bad\n" : line("s", "text " + std::to_string(i), "c0.safetensors");
  }
  DatasetOptions options;
  options.skip_bad_samples = true;
  const Dataset alone = load(lines, options);
  options.num_workers = 3;
  std::vector<std::size_t> done;
  options.progress = [&](std::size_t count) { done.push_back(count); };
  const Dataset together = load(lines, options);
  EXPECT_EQ(together.size(), 294u);
  EXPECT_EQ(together.num_skipped(), 6u);
  EXPECT_EQ(together.fingerprint(), alone.fingerprint());
  EXPECT_EQ(together.where(7), (folder / "m.jsonl").string() + ":9");
  EXPECT_DOUBLE_EQ(together.seconds_per_text_token, alone.seconds_per_text_token);
  EXPECT_EQ(done.size(), 300u);
  EXPECT_EQ(done.back(), 300u);
  options.skip_bad_samples = false;
  EXPECT_NE(test::user_error([&] { load(lines, options); }).find("m.jsonl:8"), std::string::npos);
}

// As the ranks of a machine do it, though here both sides are one process.
TEST_F(DatasetTest, AnotherProcessOpensWhatOneHasLoaded) {
  const Dataset loaded = load(line("s", "ab", "c0.safetensors") + "\n" + line("s", "c", "c0.safetensors"));
  const Dataset opened = Dataset::open(loaded.address(), folder / "m.jsonl", false);
  ASSERT_EQ(opened.size(), 2u);
  EXPECT_EQ(opened.where(1), (folder / "m.jsonl").string() + ":3");
  EXPECT_EQ(opened.sample(1).input_ids, loaded.sample(1).input_ids);
  EXPECT_EQ(opened.fingerprint(), loaded.fingerprint());
  EXPECT_EQ(opened.system_text, "s");
  EXPECT_DOUBLE_EQ(opened.seconds_per_text_token, loaded.seconds_per_text_token);
  std::string another = load(line("s", "d", "c0.safetensors")).address();
  EXPECT_NE(
      test::run_error([&] { Dataset::open(another, folder / "m.jsonl", false); }).find("cannot be opened"),
      std::string::npos);
  // The files of one with the fingerprint of the other.
  const Dataset other = load(line("s", "d", "c0.safetensors"));
  Json mixed = Json::parse(loaded.address());
  mixed["files"] = Json::parse(other.address())["files"];
  EXPECT_NE(
      test::run_error([&] { Dataset::open(mixed.dump(), folder / "m.jsonl", false); }).find("not its own"),
      std::string::npos);
}

TEST_F(DatasetTest, PromptOfASampleEndsWhereTheAudioBegins) {
  const ChatMLSample chat = parse_chatml(line("s", "a", "c0.safetensors"), "m:1");
  const TokenizedSample whole = tokenize(chat, tokenizer, "m:1");
  const TokenizedSample prompt = tokenize_prompt(prompt_of_sample(chat, "m:1"), tokenizer, "m:1");
  ASSERT_LT(prompt.input_ids.size(), whole.input_ids.size());
  EXPECT_TRUE(std::equal(prompt.input_ids.begin(), prompt.input_ids.end(), whole.input_ids.begin()))
      << "generation must begin exactly as training samples do";
  EXPECT_EQ(prompt.input_ids.back(), tokenizer.id_of("<|audio_out_bos|>"));
  EXPECT_EQ(whole.input_ids[prompt.input_ids.size()], ids.audio_out);
}

TEST_F(DatasetTest, SceneStandsBetweenItsMarks) {
  EXPECT_EQ(system_text(""), "Generate audio following instruction.");
  EXPECT_EQ(system_text("A room."),
            "Generate audio following instruction.\n\n<|scene_desc_start|>\nA room.\n<|scene_desc_end|>");
}

}  // namespace
}  // namespace higgs
