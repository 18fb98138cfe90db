// `merge` as a process: the folder it makes says what base and adapter say, in the base's layout.
#include <ATen/ops/randn_like.h>

#include <cstdio>
#include <limits>
#include <set>

#include "app_test.h"
#include "higgs/formats/checkpoint_files.h"
#include "support/boson_layout.h"
#include "support/changed_adapter.h"

namespace higgs::test {
namespace {

class Merge : public AppTest {
 protected:
  ProcessResult merge(const fs::path& base, const fs::path& adapter, const Arguments& more = {}) const {
    return run(Arguments{"merge", "--base_ckpt", base, "--adapter", adapter, "--out", scratch / "merged"} +
               more);
  }

  // What `inspect forward` writes for the goldens' samples.
  SafetensorsFile forward(const fs::path& base, const std::string& name, const Arguments& more = {}) const {
    run(Arguments{"inspect", "forward", "--manifest", golden("e2e/manifest.jsonl"), "--base_ckpt", base,
                  "--out", scratch / name} +
        more);
    return SafetensorsFile(scratch / name);
  }

  void expect_same_forward(const fs::path& base, const fs::path& adapter, double tolerance) const {
    const SafetensorsFile want = forward(base, "want.safetensors", {"--adapter", adapter}),
                          ours = forward(scratch / "merged", "ours.safetensors");
    for (const char* name : {"hidden", "text_logits", "audio_logits", "loss", "loss_audio"}) {
      EXPECT_LT(relative_difference(load(ours, name), load(want, name)), tolerance) << name;
    }
  }

  std::string merged_text(const std::string& name) const { return text_of(scratch / "merged" / name); }
};

// Float32 weights hold the sum as it was computed: 1e-5 is float32 in another order.
TEST_F(Merge, TheFolderSaysWhatBaseAndAdapterSay) {
  const ProcessResult result = merge(golden("hf/model"), golden("e2e/adapter_hf"), {"--dtype", "fp32"});
  EXPECT_NE(result.err.find("20 weights merged, 0 replaced, 13 read back as the base's, bit for bit"),
            std::string::npos)
      << result.err;
  EXPECT_NE(result.err.find("largest logit difference "), std::string::npos) << result.err;
  EXPECT_NE(result.err.find(" of 104 greedy codes differ"), std::string::npos) << result.err;
  expect_same_forward(golden("hf/model"), golden("e2e/adapter_hf"), 1e-5);
  const Arguments manifest = {"evaluate", "--manifest", golden("e2e/manifest.jsonl"), "--speak", "0",
                              "--json",   "-"};
  const auto evaluate = [&](const Arguments& what) { return Json::parse(run(manifest + what).out); };
  const Json want = evaluate(golden_base() + Arguments{"--adapter", golden("e2e/adapter_hf")}),
             ours = evaluate({"--base_ckpt", scratch / "merged"});
  EXPECT_NEAR(ours.at("loss").get<double>(), want.at("loss").get<double>(),
              1e-5 * want.at("loss").get<double>());
}

// On float32 weights the program's own check is as tight: merged over the merged, the adapter counts twice.
TEST_F(Merge, AFloat32BaseIsCheckedTightly) {
  merge(golden("hf/model"), golden("e2e/adapter_hf"), {"--dtype", "fp32"});
  const ProcessResult result = run({"merge", "--base_ckpt", scratch / "merged", "--adapter",
                                    golden("e2e/adapter_hf"), "--out", scratch / "twice"});
  double difference = 1, relative = 1;
  const auto at = result.err.find("largest logit difference ");
  ASSERT_NE(at, std::string::npos) << result.err;
  ASSERT_EQ(
      std::sscanf(result.err.c_str() + at, "largest logit difference %lf (%lf of", &difference, &relative),
      2);
  EXPECT_LT(relative, 1e-5);
  EXPECT_NE(result.err.find("0 of 104 greedy codes differ"), std::string::npos) << result.err;
}

TEST_F(Merge, KeepsTheBasesTypeNamesAndFiles) {
  const ProcessResult result = merge(golden("hf/model"), golden("e2e/adapter_hf"));
  const SafetensorsFile base(golden("hf/model/model.safetensors")),
      merged(scratch / "merged/model.safetensors");
  ASSERT_EQ(merged.tensors().size(), base.tensors().size());
  int changed = 0;
  for (const auto& [name, view] : base.tensors()) {
    EXPECT_EQ(merged.at(name).dtype, view.dtype) << name;
    EXPECT_EQ(merged.at(name).shape, view.shape) << name;
    changed += !load(merged, name).equal(load(base, name));
  }
  EXPECT_EQ(changed, 20);
  EXPECT_EQ(merged.metadata().at("format"), "pt") << "transformers asks for it";
  for (const auto& entry : fs::directory_iterator(golden("hf/model"))) {
    const std::string name = entry.path().filename().string();
    if (name == "model.safetensors" || name == "README.md") continue;
    EXPECT_EQ(merged_text(name), text_of(entry.path())) << name;
  }
  // bfloat16 rounds every merged weight to 8 bits: 1.2e-2 measured here.
  expect_same_forward(golden("hf/model"), golden("e2e/adapter_hf"), 3e-2);
}

TEST_F(Merge, SplitsLargeWeightsIntoShards) {
  const ProcessResult result =
      merge(golden("hf/model"), golden("e2e/adapter_hf"), {"--max_shard_size", "1200KB", "--dtype", "fp32"});
  EXPECT_NE(result.err.find(", 4 weight files"), std::string::npos) << result.err;
  EXPECT_FALSE(fs::exists(scratch / "merged/model.safetensors"));
  const Json index = Json::parse(merged_text("model.safetensors.index.json"));
  std::set<std::string> files;
  for (const auto& [name, file] : index.at("weight_map").items()) files.insert(file.get<std::string>());
  EXPECT_EQ(files.size(), 4u);
  EXPECT_TRUE(files.count("model-00001-of-00004.safetensors"));
  for (const std::string& file : files) {
    const SafetensorsFile shard(scratch / "merged" / file);
    EXPECT_TRUE(shard.tensors().size() == 1 || fs::file_size(scratch / "merged" / file) < 1210000) << file;
  }
  expect_same_forward(golden("hf/model"), golden("e2e/adapter_hf"), 1e-5);
}

TEST_F(Merge, TheCardNamesBaseLicenceAndAdapter) {
  fs::copy(golden("hf/model"), scratch / "base", fs::copy_options::recursive);
  write("base/README.md", "---\nlicense: other\nlicense_name: some-licence\ntags:\n- x\n---\n# Base\n");
  write("base/.gitattributes", "x");
  write("base/pytorch_model.bin", "x");
  write("base/more/notes.txt", "x");
  write("base/codec/config.json", "{}");
  write("base/codec/model.safetensors", "x");
  merge(scratch / "base", golden("e2e/adapter_hf"));
  const std::string card = merged_text("README.md");
  for (const char* part : {"license: other\nlicense_name: some-licence\n", "| base | base |\n",
                           "| licence of the base | some-licence |\n", "| adapter | adapter_hf |\n",
                           "| method | LoRA |\n", "| r | 5 |\n", "| lora_alpha | "}) {
    EXPECT_NE(card.find(part), std::string::npos) << part << "in:\n" << card;
  }
  EXPECT_EQ(card.find(scratch.path().string()), std::string::npos) << "paths of this machine";
  EXPECT_TRUE(fs::exists(scratch / "merged/more/notes.txt"));
  EXPECT_TRUE(fs::exists(scratch / "merged/codec/model.safetensors")) << "a model of its own";
  EXPECT_FALSE(fs::exists(scratch / "merged/pytorch_model.bin"));
  EXPECT_FALSE(fs::exists(scratch / "merged/.gitattributes"));
}

TEST_F(Merge, ABaseInTheHubCacheIsCopiedThroughItsLinks) {
  const fs::path repository = scratch / "hub/models--org--name",
                 snapshot_folder = repository / "snapshots/abc";
  fs::create_directories(repository / "blobs");
  fs::create_directories(snapshot_folder);
  write("hub/models--org--name/refs/main", "abc");
  for (const auto& entry : fs::directory_iterator(golden("hf/model"))) {
    const fs::path name = entry.path().filename();
    fs::copy_file(entry.path(), repository / "blobs" / name);
    fs::create_symlink(fs::path("../../blobs") / name, snapshot_folder / name);
  }
  merge("org/name", golden("e2e/adapter_hf"));
  EXPECT_NE(merged_text("README.md").find("---\nbase_model: org/name\n"), std::string::npos);
  for (const auto& entry : fs::directory_iterator(scratch / "merged")) {
    EXPECT_FALSE(entry.is_symlink()) << entry.path();
    EXPECT_TRUE(entry.is_regular_file());
  }
  EXPECT_EQ(merged_text("tokenizer.json"), text_of(golden("hf/model/tokenizer.json")));
}

TEST_F(Merge, ABosonBaseKeepsItsLayout) {
  merge(golden("boson/model/base"), golden("boson/lora/adapter_final"),
        {"--dtype", "fp32", "--max_shard_size", "1MB"});
  const CheckpointFiles merged(scratch / "merged");
  const SafetensorsFile base(golden("boson/model/base/model.safetensors")),
      want(golden("boson/lora/merged.safetensors"));
  ASSERT_EQ(merged.tensors().size(), base.tensors().size());
  for (const auto& [name, view] : base.tensors()) EXPECT_TRUE(merged.contains(name)) << name;
  // 1e-6: B A in float32 by another BLAS.
  for (const auto& [name, view] : want.tensors()) {
    EXPECT_LT(relative_difference(load(*merged.file_of(name), name), load(want, name)), 1e-6) << name;
  }
  const Json before = Json::parse(text_of(golden("boson/model/base/config.json"))),
             after = Json::parse(merged_text("config.json"));
  EXPECT_EQ(after.at("model_type"), "higgs_audio");
  EXPECT_EQ(after.size(), before.size());
  for (const char* key : {"dtype", "torch_dtype"}) {
    EXPECT_EQ(after.contains(key), before.contains(key));
    EXPECT_EQ(after.value(key, "float32"), "float32");
  }
}

TEST_F(Merge, ABosonFolderSaysWhatBaseAndAdapterSay) {
  const fs::path base = scratch / "boson_base", adapter = scratch / "boson_adapter";
  write_boson_base(base);
  write_boson_adapter(adapter);
  merge(base, adapter, {"--dtype", "fp32"});
  expect_same_forward(base, adapter, 1e-5);
}

TEST_F(Merge, ADoraAdapterOfOurOwnIsMerged) {
  run(Arguments{"train", "--train_manifest", golden("e2e/manifest.jsonl"), "--output_dir", scratch / "run",
                "--max_steps", "3", "--val_split", "0", "--lr", "2e-2", "--warmup", "0", "--use_dora",
                "--use_rslora"} +
      golden_base());
  const Json config = Json::parse(text_of(scratch / "run/adapter/adapter_config.json"));
  EXPECT_TRUE(config.at("use_dora").get<bool>() && config.at("use_rslora").get<bool>());
  merge(golden("hf/model"), scratch / "run/adapter", {"--dtype", "fp32"});
  expect_same_forward(golden("hf/model"), scratch / "run/adapter", 1e-5);
  EXPECT_NE(merged_text("README.md").find("| method | DoRA, scaled by the root of the rank (rsLoRA) |"),
            std::string::npos);
}

TEST_F(Merge, WholeTensorsOfTheAdapterReplaceTheBases) {
  AdapterCopy copy("e2e/adapter_hf");
  const at::Tensor head = load(SafetensorsFile(golden("hf/model/model.safetensors")), "audio_lm_head.weight");
  const at::Tensor changed = at::randn_like(head);
  copy.save_module("audio_lm_head", "audio_lm_head.weight", changed);
  const fs::path adapter = copy.write();
  const ProcessResult result = merge(golden("hf/model"), adapter, {"--dtype", "fp32"});
  EXPECT_NE(result.err.find("20 weights merged, 1 replaced, 12 read back"), std::string::npos) << result.err;
  EXPECT_TRUE(load(SafetensorsFile(scratch / "merged/model.safetensors"), "audio_lm_head.weight")
                  .equal(changed.to(at::kFloat)));
  expect_same_forward(golden("hf/model"), adapter, 1e-5);
}

TEST_F(Merge, SpeaksAsBaseAndAdapterSpeak) {
  const fs::path manifest = write("some.jsonl", first_lines(demo("voice/train.jsonl"), 4));
  run(Arguments{"train", "--train_manifest", manifest, "--output_dir", scratch / "run", "--max_steps", "4",
                "--lr", "3e-3", "--warmup", "0", "--val_split", "0"} +
      demo_base());
  const fs::path adapter = scratch / "run/adapter";
  merge(demo("base"), adapter, {"--dtype", "fp32"});
  const Arguments say = {"generate", "--text", "seven three", "--greedy", "--audio_tokenizer", demo("codec")};
  run(say + Arguments{"--out", scratch / "base.wav", "--base_ckpt", demo("base"), "--scene", ""});
  run(say + Arguments{"--out", scratch / "want.wav", "--base_ckpt", demo("base"), "--adapter", adapter});
  run(say + Arguments{"--out", scratch / "ours.wav", "--base_ckpt", scratch / "merged"});
  EXPECT_EQ(text_of(scratch / "ours.wav"), text_of(scratch / "want.wav"));
  EXPECT_NE(text_of(scratch / "ours.wav"), text_of(scratch / "base.wav"))
      << "the adapter says something else";
  EXPECT_EQ(merged_text("higgs_prompt.json"), text_of(adapter / "higgs_prompt.json"));
}

// Logits that aren't numbers can't be shown to agree.
TEST_F(Merge, ThatDoesNotAgreeIsRemoved) {
  AdapterCopy copy("e2e/adapter_hf");
  copy.tensors.begin()->second.fill_(std::numeric_limits<float>::max());  // its product isn't one
  const ProcessResult result = higgs({"merge", "--base_ckpt", golden("hf/model"), "--adapter", copy.write(),
                                      "--out", scratch / "new/merged"});
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_NE(result.err.find("the merged checkpoint is not base and adapter: largest logit difference inf"),
            std::string::npos)
      << result.err;
  EXPECT_TRUE(fs::is_empty(scratch / "new"));
}

class BadMerge : public RefusalTest {
 protected:
  Arguments merge(const fs::path& base, const fs::path& adapter, const fs::path& out) const {
    return {"merge", "--base_ckpt", base, "--adapter", adapter, "--out", out};
  }
};

TEST_F(BadMerge, IntoAFolderThatHoldsSomething) {
  write("out/file", "x");
  expect_refused(merge(golden("hf/model"), golden("e2e/adapter_hf"), scratch / "out"),
                 {"--out " + (scratch / "out").string(), "is not empty"});
}

TEST_F(BadMerge, IntoTheBase) {
  fs::copy(golden("hf/model"), scratch / "base", fs::copy_options::recursive);
  expect_refused(merge(scratch / "base", golden("e2e/adapter_hf"), scratch / "base/merged"),
                 {"--out " + (scratch / "base/merged").string(), "lies in the base's folder"});
}

TEST_F(BadMerge, OfAnAdapterOfTheOtherLayout) {
  expect_refused(merge(golden("hf/model"), golden("boson/lora/adapter_final"), scratch / "out"),
                 {golden("boson/lora/adapter_final/adapter_model.safetensors"), "of the boson layout",
                  golden("hf/model"), "in the HF layout"});
  expect_refused(merge(golden("boson/model/base"), golden("e2e/adapter_hf"), scratch / "out"),
                 {golden("e2e/adapter_hf/adapter_model.safetensors"), "of the HF layout",
                  golden("boson/model/base"), "in the boson layout"});
}

TEST_F(BadMerge, OfAnAdapterOfAnotherBase) {
  expect_refused(merge(demo("base"), golden("e2e/adapter_hf"), scratch / "out"),
                 {golden("e2e/adapter_hf/adapter_model.safetensors"), "another base"});
}

TEST_F(BadMerge, WithAShardSizeThatIsNone) {
  expect_refused(merge(golden("hf/model"), golden("e2e/adapter_hf"), scratch / "out") +
                     Arguments{"--max_shard_size", "large"},
                 {"--max_shard_size: 'large' is not a size"});
}

TEST_F(BadMerge, OfNoAdapter) {
  expect_refused(merge(golden("hf/model"), scratch / "none", scratch / "out"),
                 {(scratch / "none/adapter_config.json").string(), "missing"});
}

}  // namespace
}  // namespace higgs::test
