// Merged weights against peft's merge_and_unload, and what the check of a written checkpoint notices.
#include "higgs/model/merge.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>

#include <fstream>

#include "higgs/base/error.h"
#include "higgs/base/hash.h"
#include "higgs/model/adapter.h"
#include "higgs/model/answer.h"
#include "higgs/model/lora_weight.h"
#include "support/changed_adapter.h"

namespace higgs {
namespace {

using test::AdapterCopy;
using test::golden;
using test::load;
using test::relative_difference;
using test::TemporaryFolder;
using test::user_error;
using ::testing::HasSubstr;

bool never() {
  return false;
}

TensorSpec spec_of(const MergedTensors& merged, const std::string& name) {
  for (const TensorSpec& spec : merged.specs()) {
    if (spec.name == name) return spec;
  }
  ADD_FAILURE() << name;
  return {};
}

// 1e-6: B A in float32 by another BLAS.
TEST(Merge, EqualsPeft) {
  const CheckpointFiles base(golden("boson/model/base"));
  const AdapterFile adapter(golden("boson/lora/adapter_final"));
  const MergedTensors merged(base, Layout::kBoson, adapter, DType::kF32);
  const SafetensorsFile want(golden("boson/lora/merged.safetensors"));
  EXPECT_EQ(want.tensors().size(), 2u);
  for (const auto& [name, view] : want.tensors()) {
    EXPECT_FALSE(merged.is_untouched(name));
    const at::Tensor ours = merged.tensor(spec_of(merged, name));
    EXPECT_LT(relative_difference(ours, load(want, name)), 1e-6) << name;
    const at::Tensor unmerged = load(SafetensorsFile(golden("boson/model/base/model.safetensors")), name);
    EXPECT_GT(relative_difference(unmerged, load(want, name)), 1e-3) << "merging changes it";
  }
}

TEST(Merge, RoundsOnceToTheBasesType) {
  const CheckpointFiles base(golden("boson/model/base"));
  const AdapterFile adapter(golden("boson/lora/adapter_final"));
  const MergedTensors merged(base, Layout::kBoson, adapter, std::nullopt),
      wide(base, Layout::kBoson, adapter, DType::kF32);
  const std::string name = "layers.1.mlp.up_proj.weight";
  const at::Tensor ours = merged.tensor(spec_of(merged, name));
  EXPECT_EQ(ours.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(ours.equal(wide.tensor(spec_of(wide, name)).to(at::kBFloat16)));
}

TEST(Merge, LeavesTheRestAsItIs) {
  const CheckpointFiles base(golden("boson/model/base"));
  const AdapterFile adapter(golden("boson/lora/adapter_final"));
  const MergedTensors merged(base, Layout::kBoson, adapter, std::nullopt);
  EXPECT_EQ(merged.num_merged(), 3u * 10u);
  EXPECT_EQ(merged.specs().size(), base.tensors().size());
  for (const TensorSpec& spec : merged.specs()) {
    if (!merged.is_untouched(spec.name)) continue;
    EXPECT_EQ(merged.tensor(spec).const_data_ptr(), base.tensors().at(spec.name).bytes.data())
        << "a view of the base's file, not a copy";
  }
}

// A base whose text head boson_multimodal has split into rows that were frozen and rows that were trained.
class SplitHead : public ::testing::Test {
 protected:
  SplitHead() {
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, view] : whole.tensors()) {
      if (name != head + ".weight") {
        tensors.push_back({name, view.dtype, view.shape, view.bytes});
        continue;
      }
      const std::size_t cut = 500 * 64 * 2;
      tensors.push_back({part + "frozen.weight", view.dtype, {500, 64}, view.bytes.first(cut)});
      tensors.push_back({part + "trainable.weight", view.dtype, {12, 64}, view.bytes.subspan(cut)});
    }
    write_safetensors(folder / "model.safetensors", tensors);
  }
  // What the two parts become.
  void expect_head(const AdapterCopy& copy, const at::Tensor& wanted) {
    const CheckpointFiles base(folder.path());
    const AdapterFile adapter(copy.write());
    const MergedTensors merged(base, Layout::kBoson, adapter, std::nullopt);
    EXPECT_TRUE(merged.tensor(spec_of(merged, part + "frozen.weight")).equal(wanted.narrow(0, 0, 500)));
    EXPECT_TRUE(merged.tensor(spec_of(merged, part + "trainable.weight")).equal(wanted.narrow(0, 500, 12)));
  }

  const std::string head = "audio_decoder_proj.text_lm_head", part = head + ".linear_";
  const SafetensorsFile whole{golden("boson/model/base/model.safetensors")};
  const at::Tensor weight = load(whole, head + ".weight");
  const TemporaryFolder folder;
};

TEST_F(SplitHead, TakesAWholeTensorInTwoParts) {
  AdapterCopy copy("boson/lora/adapter_final");
  copy.save_module("text_lm_head", head + ".weight", weight * 3);
  expect_head(copy, weight * 3);
}

TEST_F(SplitHead, TakesALowRankChangeInTwoParts) {
  AdapterCopy copy("boson/lora/adapter_final");
  const at::Tensor a = at::randn({4, 64}), b = at::randn({512, 4});
  copy.tensors["base_model.model." + head + ".lora_A.weight"] = a;
  copy.tensors["base_model.model." + head + ".lora_B.weight"] = b;
  copy.config["target_modules"].push_back("text_lm_head");
  // alpha / r = 8 / 4
  expect_head(copy, merged_weight(weight, a, b, 2.0, {}).to(at::kBFloat16));
}

// boson checkpoints may repeat a head outside its projector; a repetition with other values is refused on
// loading.
TEST(Merge, ChangesEveryRepetitionOfAHead) {
  const SafetensorsFile whole(golden("boson/model/base/model.safetensors"));
  const std::string head = "audio_decoder_proj.text_lm_head.weight";
  const TemporaryFolder folder;
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, view] : whole.tensors())
    tensors.push_back({name, view.dtype, view.shape, view.bytes});
  const TensorView& view = whole.at(head);
  tensors.push_back({"lm_head.weight", view.dtype, view.shape, view.bytes});
  write_safetensors(folder / "model.safetensors", tensors);
  AdapterCopy copy("boson/lora/adapter_final");
  const at::Tensor saved = load(whole, head) * 3;
  copy.save_module("text_lm_head", head, saved);
  const CheckpointFiles base(folder.path());
  const AdapterFile adapter(copy.write());
  const MergedTensors merged(base, Layout::kBoson, adapter, std::nullopt);
  for (const std::string& name : {head, std::string("lm_head.weight")})
    EXPECT_TRUE(merged.tensor(spec_of(merged, name)).equal(saved)) << name;
}

TEST(Merge, RefusesAnAdapterOfAnotherBase) {
  const CheckpointFiles base(golden("boson/model/base"));
  const AdapterFile adapter(golden("hf/adapter_lora"));
  EXPECT_THAT(user_error([&] { MergedTensors(base, Layout::kBoson, adapter, std::nullopt); }),
              HasSubstr(".lora_A.weight' has no place in the base at "));
}

class WrittenMerge : public ::testing::Test {
 protected:
  WrittenMerge()
      : base(golden("boson/model/base")),
        adapter(golden("boson/lora/adapter_final")),
        merged(base, Layout::kBoson, adapter, std::nullopt),
        shards(plan_shards(merged.specs(), 1 << 20)),
        hashes(write_merged(merged, shards, folder.path(), never)) {}

  std::string fault() {
    try {
      check_written(merged, hashes, folder.path());
    } catch (const RunError& error) {
      return error.what();
    }
    return "";
  }

  // Changes the last byte of a tensor in its file.
  void damage(const std::string& name) {
    fs::path file;
    std::streamoff end = 0;
    {
      const CheckpointFiles files(folder.path());
      file = files.file_of(name)->path();
      const SafetensorsFile& mapped = *files.file_of(name);
      const std::byte* begin = nullptr;  // of the data: the lowest address
      for (const auto& [other, view] : mapped.tensors())
        if (begin == nullptr || view.bytes.data() < begin) begin = view.bytes.data();
      std::size_t data = 0;
      for (const auto& [other, view] : mapped.tensors()) data += view.bytes.size();
      const auto& bytes = mapped.at(name).bytes;
      end = static_cast<std::streamoff>(fs::file_size(file) - data) + (bytes.data() - begin) +
            static_cast<std::streamoff>(bytes.size());
    }
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(end - 1);
    const int old = stream.get();
    stream.seekp(end - 1);
    stream.put(static_cast<char>(old ^ 1));
  }

  TemporaryFolder folder;
  CheckpointFiles base;
  AdapterFile adapter;
  MergedTensors merged;
  std::vector<Shard> shards;
  std::map<std::string, std::string> hashes;
};

TEST_F(WrittenMerge, IsReadBack) {
  EXPECT_EQ(shards.size(), 3u);
  EXPECT_EQ(check_written(merged, hashes, folder.path()), merged.specs().size() - 30u);
}

TEST_F(WrittenMerge, ADamagedByteIsNoticedInEveryTensor) {
  for (const char* name : {"norm.weight", "layers.2.audio_mlp.down_proj.weight", "embed_tokens.weight"}) {
    damage(name);
    EXPECT_THAT(fault(), HasSubstr("tensor '" + std::string(name) + "' has other bytes than were written"));
    damage(name);
    EXPECT_EQ(fault(), "");
  }
}

// Bytes that were already wrong when they were written: the hash agrees, the base doesn't.
TEST_F(WrittenMerge, AnUntouchedTensorThatIsNotTheBasesIsNoticed) {
  damage("norm.weight");
  const CheckpointFiles files(folder.path());
  hashes["norm.weight"] = Hasher().update(files.tensors().at("norm.weight").bytes).hex();
  EXPECT_THAT(fault(), HasSubstr("tensor 'norm.weight' should be the base's and isn't"));
}

TEST_F(WrittenMerge, CanBeStopped) {
  const TemporaryFolder other;
  EXPECT_THROW(write_merged(merged, shards, other.path(), [] { return true; }), RunError);
  EXPECT_TRUE(test::snapshot(other.path()).empty());
}

// What the limits of the self-check (app/merge_command.cpp) stand on: rounding stays well below them, a
// mistake is far above.
TEST(Answer, TellsRoundingFromAMistake) {
  HiggsModel model(golden("hf/model"), at::kFloat, at::kCPU),
      rounded(golden("hf/model"), at::kBFloat16, at::kCPU);
  const Answer plain = answer_of(model), again = answer_of(model);
  EXPECT_EQ(difference(again, plain).largest_difference, 0.0);
  EXPECT_EQ(difference(again, plain).num_differing_codes, 0);
  EXPECT_EQ(difference(again, plain).num_codes, (4 + 9) * 8);
  EXPECT_LT(difference(answer_of(rounded), plain).relative(), 2e-2);
  const Adapter adapter(model, golden("hf/adapter_lora"));
  const AnswerDifference mistaken = difference(answer_of(model), plain);
  EXPECT_GT(mistaken.relative(), 2e-1);
  EXPECT_GT(mistaken.num_differing_codes, 10);
}

}  // namespace
}  // namespace higgs
