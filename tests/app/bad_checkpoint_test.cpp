// Bases, codecs and adapters that can't be used.
#include "app_test.h"

namespace higgs::test {
namespace {

class BadCheckpoint : public RefusalTest {
 protected:
  fs::path manifest() const { return write("m.jsonl", first_lines(demo("voice/train.jsonl"), 1)); }

  // A copy of a folder without `left_out`.
  fs::path copy_of(const fs::path& folder, const std::string& name, const std::string& left_out = "") const {
    fs::create_directories(scratch / name);
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().filename() != left_out) fs::copy_file(entry, scratch / name / entry.path().filename());
    }
    return scratch / name;
  }
  fs::path truncated(const fs::path& folder, const std::string& name) const {
    const fs::path copy = copy_of(folder, name);
    const fs::path weights = copy / "model.safetensors";
    fs::resize_file(weights, fs::file_size(weights) * 2 / 3);
    return copy;
  }
};

TEST_F(BadCheckpoint, TruncatedBase) {
  const fs::path base = truncated(golden("hf/model"), "base");
  expect_refused(train(golden("e2e/manifest.jsonl")) + Arguments{"--base_ckpt", base},
                 {base / "model.safetensors", "truncated"});
}

TEST_F(BadCheckpoint, TruncatedCodec) {
  const fs::path codec = truncated(demo("codec"), "codec");
  expect_refused(train(manifest()) + Arguments{"--base_ckpt", demo("base"), "--audio_tokenizer", codec,
                                               "--cache_dir", scratch / "codes"},
                 {codec / "model.safetensors", "truncated"});
}

TEST_F(BadCheckpoint, BaseOfGarbage) {
  const fs::path base = copy_of(golden("hf/model"), "base", "model.safetensors");
  write("base/model.safetensors", std::string(4096, '\xff'));
  expect_refused(train(golden("e2e/manifest.jsonl")) + Arguments{"--base_ckpt", base},
                 {base / "model.safetensors"});
}

TEST_F(BadCheckpoint, BaseWithoutWeights) {
  const fs::path base = copy_of(golden("hf/model"), "base", "model.safetensors");
  expect_refused(train(golden("e2e/manifest.jsonl")) + Arguments{"--base_ckpt", base},
                 {base, "model.safetensors"});
}

TEST_F(BadCheckpoint, BaseWithoutConfig) {
  const fs::path base = copy_of(golden("hf/model"), "base", "config.json");
  expect_refused(train(golden("e2e/manifest.jsonl")) + Arguments{"--base_ckpt", base},
                 {base / "config.json", "missing"});
}

TEST_F(BadCheckpoint, BaseWithoutTokenizer) {
  const fs::path base = copy_of(golden("hf/model"), "base", "tokenizer.json");
  expect_refused(train(golden("e2e/manifest.jsonl")) + Arguments{"--base_ckpt", base}, {base, "tokenizer"});
}

TEST_F(BadCheckpoint, BaseThatIsNeitherAFolderNorAnId) {
  expect_refused(train(golden("e2e/manifest.jsonl")) + Arguments{"--base_ckpt", "./nowhere"},
                 {"--base_ckpt ./nowhere", "no such folder"});
}

TEST_F(BadCheckpoint, HubIdThatIsNotInTheCacheTellsTheCommand) {
  const std::string id = "bosonai/higgs-audio-v2-generation-3B-base";
  expect_refused(train(golden("e2e/manifest.jsonl")) + Arguments{"--base_ckpt", id},
                 {"--base_ckpt " + id, scratch / "hub", "hf download " + id});
}

TEST_F(BadCheckpoint, CodecThatIsNowhereTellsTheCommand) {
  const fs::path base = copy_of(demo("base"), "lonely/base");
  expect_refused(
      train(manifest()) + Arguments{"--base_ckpt", base},
      {"no audio tokenizer found", "--audio_tokenizer", "hf download bosonai/higgs-audio-v2-tokenizer"});
}

TEST_F(BadCheckpoint, TextWeightForABaseWithoutTextHead) {
  expect_refused(train(manifest()) + demo_base() + Arguments{"--text_weight", "1"},
                 {"--text_weight", demo("base"), "text_lm_head.weight"});
}

TEST_F(BadCheckpoint, BaseWithoutTextHeadTrainsOnAudioWithOneWarning) {
  const ProcessResult result = run(train(manifest()) + demo_base());
  int warnings = 0;
  for (const std::string& line : lines_of(result.err))
    warnings += line.find(" warning ") != std::string::npos;
  EXPECT_EQ(warnings, 1) << result.err;
  EXPECT_NE(result.err.find("no text head; training on audio alone"), std::string::npos) << result.err;
  // --text_weight wasn't given, so the written settings don't give it either.
  run({"train", "--config", scratch / "run/config.toml", "--output_dir", scratch / "again"});
}

TEST_F(BadCheckpoint, AdapterForAnotherBase) {
  const std::string adapter = golden("e2e/adapter_hf");
  const std::string weights = golden("e2e/adapter_hf/adapter_model.safetensors");
  expect_refused(
      Arguments{"generate", "--text", "one", "--out", scratch / "a.wav", "--adapter", adapter} + demo_base(),
      {weights, "another base"});
  expect_refused(Arguments{"evaluate", "--manifest", golden("e2e/manifest.jsonl"), "--json",
                           scratch / "a.json", "--adapter", adapter} +
                     demo_base(),
                 {weights, "another base"});
  expect_refused(Arguments{"inspect", "forward", "--manifest", golden("e2e/manifest.jsonl"), "--out",
                           scratch / "a.safetensors", "--adapter", adapter} +
                     demo_base(),
                 {weights, "another base"});
}

TEST_F(BadCheckpoint, AdapterOfTheOtherLayout) {
  const fs::path adapter = copy_of(golden("e2e/adapter_hf"), "adapter", "adapter_model.safetensors");
  std::string weights = text_of(golden("e2e/adapter_hf/adapter_model.safetensors"));
  // The boson layout's prefix has one "model." less; as long, so that the header keeps its length.
  for (std::size_t at = 0; (at = weights.find("base_model.model.model.layers", at)) != std::string::npos;
       ++at)
    weights.replace(at, 29, "base_model.model.layers.layer");
  write("adapter/adapter_model.safetensors", weights);
  expect_refused(
      Arguments{"evaluate", "--manifest", golden("e2e/manifest.jsonl"), "--adapter", adapter} + golden_base(),
      {adapter / "adapter_model.safetensors", "of the boson layout", "in the HF layout"});
}

TEST_F(BadCheckpoint, TruncatedAdapter) {
  const fs::path adapter = copy_of(golden("e2e/adapter_hf"), "adapter");
  fs::resize_file(adapter / "adapter_model.safetensors", 10000);
  expect_refused(
      Arguments{"evaluate", "--manifest", golden("e2e/manifest.jsonl"), "--adapter", adapter} + golden_base(),
      {adapter / "adapter_model.safetensors", "truncated"});
}

TEST_F(BadCheckpoint, AdapterThatIsNowhere) {
  expect_refused(
      Arguments{"evaluate", "--manifest", golden("e2e/manifest.jsonl"), "--adapter", scratch / "none"} +
          golden_base(),
      {scratch / "none/adapter_config.json", "missing"});
}

TEST_F(BadCheckpoint, CodecWhoseConfigurationIsOfAnotherShape) {
  write("codec/config.json", R"({"model_type": 5})");
  expect_refused(
      train(manifest()) + Arguments{"--base_ckpt", demo("base"), "--audio_tokenizer", scratch / "codec"},
      {scratch / "codec/config.json", "model_type"});
}

TEST_F(BadCheckpoint, PathThatNoFileSystemHas) {
  const std::string name(300, 'x');
  expect_refused(train(golden("e2e/manifest.jsonl")) + Arguments{"--base_ckpt", name},
                 {name, "File name too long"});
}

TEST_F(BadCheckpoint, AdapterWithValuesThatAreNotFinite) {
  const fs::path adapter = copy_of(golden("e2e/adapter_hf"), "adapter");
  std::string bytes = text_of(adapter / "adapter_model.safetensors");
  for (std::size_t i = bytes.size() - 4; i < bytes.size(); ++i) bytes[i] = '\xff';
  write_text(adapter / "adapter_model.safetensors", bytes);
  expect_refused(Arguments{"inspect", "forward", "--manifest", golden("e2e/manifest.jsonl"), "--adapter",
                           adapter, "--out", scratch / "o.safetensors"} +
                     golden_base(),
                 {adapter / "adapter_model.safetensors", "holds values that are not finite"});
}

}  // namespace
}  // namespace higgs::test
