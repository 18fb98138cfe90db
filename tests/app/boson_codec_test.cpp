// Every command that encodes or decodes, with the audio tokenizer in the boson layout: config.json and
// model.pth.
#include "codec/boson_codec.h"

#include "app_test.h"
#include "higgs/audio/waveform.h"

namespace higgs::test {
namespace {

class BosonCodec : public RefusalTest {
 protected:
  Arguments codec() { return {"--audio_tokenizer", copy.write()}; }
  fs::path manifest() const {
    return write("clips.jsonl", spoken("one two", golden("hf/synthetic/digits_16k_stereo.wav")) +
                                    spoken("a sweep", golden("hf/synthetic/sweep_24k.wav")));
  }
  SafetensorsFile inspect(const std::string& stage, const Arguments& more) const {
    const fs::path out = scratch / (stage + ".safetensors");
    run(Arguments{"inspect", stage, "--out", out} + golden_base() + more);
    return SafetensorsFile(out);
  }
  BosonCodecCopy copy;
};

TEST_F(BosonCodec, InspectShowsTheReferencesCodesAndWave) {
  const Arguments source = Arguments{"--manifest", manifest()} + codec();
  const SafetensorsFile file = inspect("codes", source);
  const SafetensorsFile sweep(golden("boson/codec/synthetic/sweep_24k.safetensors"));
  EXPECT_EQ(file.integers("codes.0"),
            SafetensorsFile(golden("boson/codec/synthetic/digits_16k_stereo.safetensors")).integers("codes"));
  EXPECT_EQ(file.integers("codes.1"), sweep.integers("codes"));
  // The branches' frame counts differ for this clip, and the other rule gives other codes.
  const SafetensorsFile other = inspect("codes", source + Arguments{"--codec_rule", "hf"});
  EXPECT_NE(other.integers("codes.1"), sweep.integers("codes"));
  EXPECT_EQ(inspect("codes", source + Arguments{"--codec_rule", "boson"}).integers("codes.1"),
            sweep.integers("codes"));

  const SafetensorsFile decoded = inspect(
      "decode", codec() + Arguments{"--codes", golden("boson/codec/synthetic/sweep_24k.safetensors")});
  // Measured: equal.
  EXPECT_LE(relative_difference(decoded.floats("wave.0"), sweep.floats("decoded")), 1e-5);
}

TEST_F(BosonCodec, EncodesTrainsAndSpeaks) {
  const Arguments all = golden_base() + codec() + Arguments{"--cache_dir", scratch / "cache"};
  EXPECT_NE(run(Arguments{"encode", "--manifest", manifest()} + all).err.find("2 clips encoded"),
            std::string::npos);
  // The rule is part of what the cache knows a clip by.
  EXPECT_NE(run(Arguments{"encode", "--manifest", manifest()} + all).err.find("0 clips encoded"),
            std::string::npos);
  EXPECT_NE(run(Arguments{"encode", "--manifest", manifest(), "--codec_rule", "hf"} + all)
                .err.find("2 clips encoded"),
            std::string::npos);
  run(Arguments{"train", "--train_manifest", manifest(), "--output_dir", scratch / "run", "--max_steps", "1",
                "--val_split", "0"} +
      all);
  run(Arguments{"generate", "--adapter", scratch / "run/adapter", "--text", "one", "--max_seconds", "0.4",
                "--out", scratch / "a.wav"} +
      golden_base() + codec());
  EXPECT_EQ(read_audio_file(scratch / "a.wav").sample_rate, 24000);
}

TEST_F(BosonCodec, ACodecOfAnotherNumberOfCodebooksIsRefused) {
  copy.config["n_q"] = 7;
  std::erase_if(copy.tensors,
                [](const auto& entry) { return entry.first.starts_with("quantizer.vq.layers.7."); });
  const fs::path path = manifest();
  const Arguments all = golden_base() + codec();
  expect_refused(train(path) + all,
                 {"the audio tokenizer has 7 codebooks, the base has 8", "--audio_tokenizer"});
}

}  // namespace
}  // namespace higgs::test
