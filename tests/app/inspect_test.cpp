// `inspect` as a process against the goldens: the window that others' checks look through.
#include "app_test.h"
#include "higgs/audio/waveform.h"
#include "support/boson_layout.h"
#include "support/torch_compare.h"
#include "support/whole_golden.h"

namespace higgs::test {
namespace {

class Inspect : public AppTest {
 protected:
  // Runs a stage on the golden base and reads what it wrote, into a folder that isn't there yet.
  SafetensorsFile inspect(const std::string& stage, const Arguments& more) const {
    const fs::path out = scratch / "new/folder" / (stage + ".safetensors");
    run(Arguments{"inspect", stage, "--out", out} + golden_base() + more);
    return SafetensorsFile(out);
  }
  SafetensorsFile inspect_e2e(const std::string& stage, const Arguments& more = {}) const {
    return inspect(stage, Arguments{"--manifest", golden("e2e/manifest.jsonl")} + more);
  }
  // A manifest with one spoken line for each clip.
  fs::path manifest_of(const std::vector<fs::path>& clips) const {
    std::string text;
    for (const fs::path& clip : clips) text += spoken("text", clip);
    return write("clips.jsonl", text);
  }
  const SafetensorsFile expected{whole_golden("e2e/expected.safetensors")};
};

void expect_equal(const SafetensorsFile& file, const std::string& name, const SafetensorsFile& expected,
                  const std::string& golden_name) {
  ASSERT_TRUE(file.contains(name)) << name;
  EXPECT_EQ(file.at(name).dtype, DType::kI64) << name;
  EXPECT_EQ(file.at(name).shape, expected.at(golden_name).shape) << name;
  EXPECT_EQ(file.integers(name), expected.integers(golden_name)) << name;
}

TEST_F(Inspect, TokensAreThoseOfTheReference) {
  const SafetensorsFile file = inspect_e2e("tokens");
  EXPECT_EQ(file.tensors().size(), 10u);
  for (const std::string i : {"0", "1", "2", "3", "4"}) {
    expect_equal(file, "input_ids." + i, expected, "tokens/input_ids." + i);
    expect_equal(file, "label_ids." + i, expected, "tokens/label_ids." + i);
  }
  const std::map<std::string, std::string> metadata = {
      {"speaker.0", "a"},
      {"speaker.2", "both"},
      {"audio.0", R"(["codes/c0.safetensors"])"},
      {"audio.1", R"(["codes/c1.safetensors","codes/c2.safetensors"])"},
      {"audio.2",
       R"(["codes/c3.safetensors","codes/c4.safetensors","codes/c5.safetensors","codes/c6.safetensors"])"},
      {"audio.3", "[]"},
      {"audio.4", R"(["codes/c7.safetensors","codes/c8.safetensors"])"}};
  EXPECT_EQ(file.metadata(), metadata);
}

TEST_F(Inspect, LineAndBatchSizeChooseSamples) {
  const SafetensorsFile third = inspect_e2e("tokens", {"--line", "3"});
  EXPECT_EQ(third.tensors().size(), 2u);
  expect_equal(third, "input_ids.0", expected, "tokens/input_ids.2");
  const SafetensorsFile two = inspect_e2e("tokens", {"--batch_size", "2"});
  EXPECT_EQ(two.tensors().size(), 4u);
  const ProcessResult result =
      higgs(Arguments{"inspect", "tokens", "--manifest", golden("e2e/manifest.jsonl"), "--line", "6", "--out",
                      scratch / "o.safetensors"} +
            golden_base());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("no sample at line 6"), std::string::npos) << result.err;
}

TEST_F(Inspect, CollateIsTheReferencesBatch) {
  const SafetensorsFile file = inspect_e2e("collate");
  std::size_t compared = 0;
  for (const auto& [name, view] : expected.tensors()) {
    if (name.rfind("collate/", 0) != 0) continue;
    expect_equal(file, name.substr(8), expected, name);
    ++compared;
  }
  EXPECT_EQ(compared, 9u);
  EXPECT_EQ(file.tensors().size(), compared);
}

void expect_outputs(const SafetensorsFile& file, const SafetensorsFile& expected, const std::string& prefix) {
  const auto want = [&](const std::string& name) { return load(expected, prefix + "/" + name); };
  const auto every_8th = [](const at::Tensor& t) { return t.slice(-1, 0, t.size(-1), 8); };
  EXPECT_TRUE(close_rows(load(file, "hidden"), expected, prefix + "/hidden", kForwardTolerance));
  for (const std::string head : {"text", "audio"}) {
    EXPECT_TRUE(close_rows(every_8th(load(file, head + "_logits")), expected,
                           prefix + "/" + head + "_logits_every_8th", kForwardTolerance));
  }
  for (const char* name : {"loss", "loss_text", "loss_audio"})
    EXPECT_TRUE(close(load(file, name), want(name), kLossTolerance, name));
  expect_equal(file, "text_labels", expected, "text_labels");
  expect_equal(file, "audio_labels", expected, "audio_labels");
}

TEST_F(Inspect, ForwardOfTheBaseIsTheReferences) {
  const SafetensorsFile file = inspect_e2e("forward");
  expect_outputs(file, expected, "base");
  const at::Tensor kind = load(file, "kind");
  EXPECT_EQ(kind.numel(), 450);
  EXPECT_EQ((kind == 1).sum().item<int>(), 58) << "discrete audio-in positions";
  EXPECT_EQ((kind == 2).sum().item<int>(), 139) << "audio-out positions";
}

TEST_F(Inspect, ForwardOfAnAdapterAndItsGradientsAreTheReferences) {
  const SafetensorsFile file = inspect_e2e("forward", {"--adapter", golden("e2e/adapter_hf"), "--grads"});
  expect_outputs(file, expected, "adapter");
  std::size_t compared = 0;
  for (const auto& [name, view] : file.tensors()) {
    if (name.rfind("grad.", 0) != 0) continue;
    // The golden was made in the boson layout, whose prefix has one "model." less.
    const std::string prefix = "grad.base_model.model.model.";
    ASSERT_EQ(name.rfind(prefix, 0), 0u) << name;
    const std::string reference = "adapter/grad.base_model.model." + name.substr(prefix.size());
    EXPECT_TRUE(close(load(file, name), load(expected, reference), kGradientTolerance, name));
    ++compared;
  }
  const auto num_golden =
      std::count_if(expected.tensors().begin(), expected.tensors().end(),
                    [](const auto& entry) { return entry.first.rfind("adapter/grad.", 0) == 0; });
  EXPECT_EQ(compared, static_cast<std::size_t>(num_golden));
  EXPECT_EQ(compared, 40u);
}

// The same values in the boson layout: same tensors, gradients under that layout's keys.
TEST_F(Inspect, ForwardInTheBosonLayoutIsTheReferences) {
  write_boson_base(scratch / "base");
  write_boson_adapter(scratch / "adapter");
  const fs::path out = scratch / "boson.safetensors";
  run({"inspect", "forward", "--manifest", golden("e2e/manifest.jsonl"), "--base_ckpt", scratch / "base",
       "--adapter", scratch / "adapter", "--grads", "--out", out});
  const SafetensorsFile file(out);
  expect_outputs(file, expected, "adapter");
  std::size_t compared = 0;
  for (const auto& [name, view] : file.tensors()) {
    if (name.rfind("grad.", 0) != 0) continue;
    EXPECT_TRUE(close(load(file, name), load(expected, "adapter/" + name), kGradientTolerance, name));
    ++compared;
  }
  EXPECT_EQ(compared, 40u);
}

TEST_F(Inspect, ForwardSumsCodebooksWhenAsked) {
  const SafetensorsFile file = inspect_e2e("forward", {"--codebook_reduction", "sum"});
  const double audio = load(file, "loss_audio").sum().item<double>();
  // Sums of eight floats in another order.
  EXPECT_NEAR(load(file, "loss").item<double>(), load(file, "loss_text").item<double>() + audio,
              1e-5 * audio);
}

TEST_F(Inspect, TextIsTokenisedAsTheReferenceDoes) {
  const Json cases = Json::parse(text_of(golden("hf/tokenizer_golden.json")))["strings"];
  std::string lines;
  std::vector<std::int64_t> ids, starts;
  for (const Json& entry : cases) {
    lines += entry["text"].dump() + "\n";
    starts.push_back(static_cast<std::int64_t>(ids.size()));
    for (const std::int64_t id : entry["ids"]) ids.push_back(id);
  }
  ASSERT_GT(starts.size(), 10u);
  write("strings.jsonl", lines);
  const SafetensorsFile file = inspect("text", {"--text_file", scratch / "strings.jsonl"});
  EXPECT_EQ(file.integers("ids"), ids);
  EXPECT_EQ(file.integers("starts"), starts);
}

TEST_F(Inspect, TextNamesALineThatIsNoJsonString) {
  write("strings.jsonl", "\"one\"\n{\"text\": 1}\n");
  const ProcessResult result = higgs(Arguments{"inspect", "text", "--text_file", scratch / "strings.jsonl",
                                               "--out", scratch / "o.safetensors"} +
                                     golden_base());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find((scratch / "strings.jsonl").string() + ":2: must be one JSON string"),
            std::string::npos)
      << result.err;
}

// Clips that may be published, encoded by the reference; the codec has random weights, its codes hang on the
// last digits nowhere (tests/codec knows the near ties; these clips have none that differ).
TEST_F(Inspect, CodesAndFeaturesAreThoseOfTheReference) {
  const std::vector<std::string> names = {"digits_16k_stereo", "sweep_24k"};
  std::vector<fs::path> clips;
  for (const std::string& name : names) clips.push_back(golden("hf/synthetic/" + name + ".wav"));
  const Arguments source = {"--manifest", manifest_of(clips), "--audio_tokenizer", golden("hf/codec")};
  const SafetensorsFile file = inspect("codes", source + Arguments{"--features"});
  for (std::size_t i = 0; i < names.size(); ++i) {
    const SafetensorsFile want(golden("hf/synthetic/codec_" + names[i] + "_none.safetensors"));
    const std::string n = "." + std::to_string(i);
    expect_equal(file, "codes" + n, want, "codes");
    EXPECT_EQ(file.metadata().at("clip" + n), clips[i].string());
    // Tolerances and their reasons as in tests/codec.
    EXPECT_LE(relative_difference(load(file, "wave24" + n), load(want, "wav24k")), 1e-6) << names[i];
    EXPECT_LE(relative_difference(load(file, "wave16" + n), load(want, "wav16k")), 1e-6) << names[i];
    EXPECT_LE(relative_difference(load(file, "semantic" + n), load(want, "semantic")), 5e-6) << names[i];
    EXPECT_LE(relative_difference(load(file, "acoustic" + n), load(want, "acoustic_enc")), 5e-5) << names[i];
    EXPECT_LE(relative_difference(load(file, "margin" + n), load(want, "margin")), 1e-3) << names[i];
  }
  const SafetensorsFile plain = inspect("codes", source);
  EXPECT_EQ(plain.tensors().size(), 2u);
  EXPECT_EQ(plain.integers("codes.0"), file.integers("codes.0"));
}

TEST_F(Inspect, DecodeGivesTheReferencesWave) {
  const Arguments codec = {"--audio_tokenizer", golden("hf/codec")};
  const fs::path reference = golden("hf/synthetic/codec_digits_24k_none.safetensors");
  const SafetensorsFile file = inspect("decode", codec + Arguments{"--codes", reference});
  // The random decoder amplifies: float64 itself differs by 1.2e-4 of the largest value (as in tests/codec).
  const at::Tensor wanted =
      load(SafetensorsFile(reference), "decoded");  // the repository keeps the beginning
  const at::Tensor wave = load(file, "wave.0").narrow(0, 0, wanted.size(0));
  EXPECT_LE(relative_difference(wave, wanted), 2.5e-4);
}

// A line of a user's turn alone supervises nothing.
TEST_F(Inspect, NothingSupervisedHasNoGradient) {
  const fs::path lines = write(
      "user.jsonl", Json{{"messages", {{{"role", "user"}, {"content", "Only a question."}}}}}.dump() + "\n");
  const SafetensorsFile file =
      inspect("forward", {"--manifest", lines, "--adapter", golden("e2e/adapter_hf"), "--grads"});
  std::size_t gradients = 0;
  for (const auto& [name, view] : file.tensors()) {
    if (name.rfind("grad.", 0) != 0) continue;
    ++gradients;
    for (const float value : file.floats(name)) EXPECT_EQ(value, 0.0f) << name;
  }
  EXPECT_EQ(gradients, 40u);
  EXPECT_EQ(file.floats("loss"), std::vector<float>{0.0f});
}

}  // namespace
}  // namespace higgs::test
