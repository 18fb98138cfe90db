// Mistakes on the command line, in --config and in where to write.
#include "app_test.h"

namespace higgs::test {
namespace {

class BadFlags : public RefusalTest {
 protected:
  Arguments good() const {
    return train(write("good.jsonl", first_lines(golden("e2e/manifest.jsonl"), 2))) + golden_base();
  }
  Arguments with_config(const std::string& toml) const {
    return good() + Arguments{"--config", write("c.toml", toml)};
  }
  std::string config() const { return scratch / "c.toml"; }
};

TEST_F(BadFlags, UnknownCommand) {
  expect_refused({"trian"}, {"unknown command 'trian'"});
}

TEST_F(BadFlags, UnknownFlagSuggestsTheNearest) {
  expect_refused(good() + Arguments{"--batchsize", "2"}, {"--batchsize", "did you mean --batch_size?"});
  expect_refused(good() + Arguments{"--lora_rank=2"}, {"--lora_rank", "did you mean --lora_"});
}

TEST_F(BadFlags, UnknownFlagLikeNoneSuggestsNothing) {
  const ProcessResult result = higgs(good() + Arguments{"--x", "2"});
  EXPECT_EQ(result.err, "higgs_train: error: unknown flag --x\n");
}

TEST_F(BadFlags, StrayWord) {
  expect_refused(good() + Arguments{"more"}, {"unexpected argument 'more'"});
}

TEST_F(BadFlags, ValueOutOfRange) {
  expect_refused(good() + Arguments{"--lora_r", "0"}, {"--lora_r: must be between 1 and 4096"});
  expect_refused(good() + Arguments{"--lora_dropout", "1.5"},
                 {"--lora_dropout: must be between 0.0 and 0.99"});
  expect_refused(good() + Arguments{"--batch_size", "-1"}, {"--batch_size: must be between 1 and 1000000"});
  expect_refused(good() + Arguments{"--lr", "nan"}, {"--lr: must be at least 0.0"});
}

TEST_F(BadFlags, ValueOfAnotherType) {
  expect_refused(good() + Arguments{"--lr", "fast"}, {"--lr: 'fast' is not a number"});
  expect_refused(good() + Arguments{"--batch_size", "2.5"}, {"--batch_size: '2.5' is not a whole number"});
  expect_refused(good() + Arguments{"--dtype", "fp16"}, {"--dtype: 'fp16' is not one of auto, bf16, fp32"});
}

TEST_F(BadFlags, FlagWithoutItsValue) {
  expect_refused(good() + Arguments{"--lr"}, {"--lr needs a value"});
}

TEST_F(BadFlags, MissingRequiredFlag) {
  expect_refused({"train", "--train_manifest", "m.jsonl", "--base_ckpt", "b"}, {"--output_dir is missing"});
  expect_refused({"--output_dir", "o", "--base_ckpt", "b"}, {"--train_manifest is missing"});
  expect_refused({"generate", "--text", "one", "--out", "a.wav"}, {"--base_ckpt is missing"});
  expect_refused({"evaluate", "--base_ckpt", "b"}, {"--manifest is missing"});
  expect_refused({"inspect", "tokens", "--base_ckpt", "b"}, {"--out is missing"});
}

TEST_F(BadFlags, InspectNeedsAStageAndItsInput) {
  const Arguments common = golden_base() + Arguments{"--out", scratch / "o.safetensors"};
  expect_refused(Arguments{"inspect"} + common,
                 {"STAGE is missing", "text, tokens, codes, decode, collate, forward"});
  expect_refused(Arguments{"inspect", "logits"} + common, {"STAGE 'logits' is unknown", "text, tokens"});
  expect_refused(Arguments{"inspect", "tokens"} + common, {"inspect tokens needs --manifest"});
  expect_refused(Arguments{"inspect", "text"} + common, {"inspect text needs --text_file"});
  expect_refused(Arguments{"inspect", "decode"} + common, {"inspect decode needs --codes"});
  expect_refused(
      Arguments{"inspect", "forward", "--grads", "--manifest", golden("e2e/manifest.jsonl")} + common,
      {"inspect forward --grads needs --adapter"});
}

TEST_F(BadFlags, AFileToWriteIsNoFolder) {
  expect_refused(Arguments{"inspect", "text", "--text_file", "t", "--out", scratch.path()} + golden_base(),
                 {"--out " + scratch.path().string() + ": is a folder; name a file in it"});
}

TEST_F(BadFlags, GenerateNeedsOneSourceOfText) {
  const Arguments common = Arguments{"generate", "--out", scratch / "a.wav"} + demo_base();
  expect_refused(common, {"--text, --text_file and --manifest"});
  expect_refused(common + Arguments{"--text", "one", "--manifest", "m.jsonl"},
                 {"--text, --text_file and --manifest"});
  expect_refused(common + Arguments{"--text", "one", "--ref_audio", "a.wav"},
                 {"--ref_audio needs --ref_text"});
}

TEST_F(BadFlags, UnknownTomlKeySuggestsTheNearest) {
  expect_refused(with_config("lr = 1e-3\n\nbatch_sise = 2\n"),
                 {config() + ":3: unknown key 'batch_sise'", "did you mean 'batch_size'?"});
}

TEST_F(BadFlags, UnknownTomlKeyLikeNoneSuggestsNothing) {
  const ProcessResult result = higgs(with_config("[a]\nb = 1\n"));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err, "higgs_train: error: " + config() + ":1: unknown key 'a'\n");
}

TEST_F(BadFlags, BadTomlIsNamedByItsLine) {
  expect_refused(with_config("lr = 1e-3\nbatch_size = \n"), {config() + ":2: not valid TOML"});
  expect_refused(with_config("lr = 1e-3\nbatch_size = 'x'\n"),
                 {config() + ":2: ", "batch_size", "not a whole number"});
  expect_refused(with_config("lr = [1]\n"), {config() + ":1: 'lr' must be"});
  expect_refused(with_config("lora_r = 0\n"), {config() + ":1: ", "lora_r: must be between 1 and 4096"});
  expect_refused(good() + Arguments{"--config", scratch / "none.toml"},
                 {scratch / "none.toml", "No such file"});
}

TEST_F(BadFlags, OutputFolderBelowAFile) {
  write("file", "");
  expect_refused(good() + Arguments{"--output_dir", scratch / "file/run"},
                 {"--output_dir " + (scratch / "file/run").string(), "is not a folder"});
}

TEST_F(BadFlags, OutputFolderThatHoldsSomethingElse) {
  write("run/notes.txt", "mine\n");
  expect_refused(good(), {"--output_dir " + (scratch / "run").string(), "not empty", "--overwrite"});
  expect_refused(good() + Arguments{"--resume", "none"},
                 {"--output_dir " + (scratch / "run").string(), "--overwrite"});
}

TEST_F(BadFlags, OutputFolderThatIsAFile) {
  write("run", "mine\n");
  expect_refused(good(), {"--output_dir " + (scratch / "run").string()});
  expect_refused(good() + Arguments{"--overwrite"}, {"--output_dir " + (scratch / "run").string()});
}

TEST_F(BadFlags, CheckpointToResumeThatIsNone) {
  expect_refused(good() + Arguments{"--resume", scratch / "none"}, {scratch / "none", "MANIFEST.json"});
}

TEST_F(BadFlags, OutputFilesBelowAFile) {
  const std::string below = write("file", "") / "sub/out";
  expect_refused(Arguments{"inspect", "tokens", "--manifest", golden("e2e/manifest.jsonl"), "--out", below} +
                     golden_base(),
                 {"--out", "is not a folder"});
  expect_refused(Arguments{"generate", "--text", "one", "--out", below} + demo_base(),
                 {"--out", "is not a folder"});
  expect_refused(
      Arguments{"generate", "--text", "one", "--out", scratch / "a.wav", "--out_codes", below} + demo_base(),
      {"--out_codes", "is not a folder"});
  expect_refused(
      Arguments{"evaluate", "--manifest", golden("e2e/manifest.jsonl"), "--json", below} + golden_base(),
      {"--json", "is not a folder"});
}

TEST_F(BadFlags, OutputFilesThatAreFolders) {
  const std::string folder = scratch.path();
  expect_refused(Arguments{"inspect", "tokens", "--manifest", golden("e2e/manifest.jsonl"), "--out", folder} +
                     golden_base(),
                 {"--out " + folder + ": is a folder"});
  expect_refused(Arguments{"generate", "--text", "one", "--out", folder} + demo_base(),
                 {"--out " + folder + ": is a folder"});
  expect_refused(
      Arguments{"evaluate", "--manifest", golden("e2e/manifest.jsonl"), "--json", folder} + golden_base(),
      {"--json " + folder + ": is a folder"});
}

TEST_F(BadFlags, SwitchInAFileThatIsNeitherTrueNorFalse) {
  expect_refused(with_config("lr = 1e-3\nuse_dora = \"yes\"\n"),
                 {config() + ":2: --use_dora: 'yes' is neither true nor false"});
}

TEST_F(BadFlags, HelpOfAnUnknownCommandIsAnError) {
  expect_refused({"trian", "--help"}, {"unknown command 'trian'"});
}

TEST_F(BadFlags, NumbersBeyondReason) {
  expect_refused(good() + Arguments{"--max_steps", "9223372036854775807"},
                 {"--max_steps: must be between 0 and"});
  expect_refused(good() + Arguments{"--batch_size", "4294967296"}, {"--batch_size: must be between 1 and"});
  expect_refused(good() + Arguments{"--epochs", "1e300"}, {"--epochs: must be between 0"});
}

TEST_F(BadFlags, ConfigOfTablesInTables) {
  std::string name;
  for (int i = 0; i < 300000; ++i) name += "a.";
  expect_refused(with_config(name + "a = 1\n"), {config() + ":1: a name with more than 32 dots"});
  expect_refused(with_config("lr = 1e-3\n[" + name + "a]\n"),
                 {config() + ":2: a name with more than 32 dots"});
}

}  // namespace
}  // namespace higgs::test
