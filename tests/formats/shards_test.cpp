// Files written tensor by tensor, spread over shards, in a folder that appears whole or not at all.
#include "higgs/formats/shards.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "higgs/base/error.h"
#include "higgs/base/json.h"
#include "higgs/formats/checkpoint_files.h"
#include "higgs/formats/safetensors_writer.h"
#include "higgs/formats/staged_folder.h"
#include "support/paths.h"
#include "support/process.h"

namespace higgs::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<TensorSpec> kSpecs = {
    {"b", DType::kBF16, {3}}, {"a", DType::kF32, {2, 2}}, {"c", DType::kF32, {0}}, {"d", DType::kF32, {5}}};

std::vector<std::byte> bytes_for(const TensorSpec& spec) {
  std::vector<std::byte> bytes(spec.num_bytes());
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i + spec.name[0]);
  return bytes;
}

TEST(SafetensorsWriter, WritesWhatTheWholeFileWriterWrites) {
  const TemporaryFolder folder;
  SafetensorsWriter writer(folder / "streamed.safetensors", kSpecs, {{"format", "pt"}});
  for (const TensorSpec& spec : writer.specs()) writer.write(bytes_for(spec));
  EXPECT_FALSE(fs::exists(folder / "streamed.safetensors")) << "not before it is whole";
  writer.finish();
  std::vector<std::vector<std::byte>> kept;
  std::vector<TensorToWrite> tensors;
  for (const TensorSpec& spec : kSpecs) {
    kept.push_back(bytes_for(spec));
    tensors.push_back({spec.name, spec.dtype, spec.shape, kept.back()});
  }
  write_safetensors(folder / "whole.safetensors", tensors, {{"format", "pt"}});
  EXPECT_EQ(text_of(folder / "streamed.safetensors"), text_of(folder / "whole.safetensors"));
  EXPECT_EQ(snapshot(folder.path()).size(), 2u) << "no temporary file stays";
}

TEST(SafetensorsWriter, GivenUpLeavesNothing) {
  const TemporaryFolder folder;
  {
    SafetensorsWriter writer(folder / "a.safetensors", kSpecs);
    writer.write(bytes_for(writer.specs()[0]));
  }
  EXPECT_TRUE(snapshot(folder.path()).empty());
}

TEST(SafetensorsWriter, NamesWhatCannotBeWritten) {
  try {
    SafetensorsWriter writer("/nonexistent/a.safetensors", kSpecs);
    FAIL() << "nothing was thrown";
  } catch (const RunError& error) {
    EXPECT_THAT(error.what(), HasSubstr("/nonexistent/a.safetensors: cannot be written: No such file"));
  }
}

std::vector<std::string> names_of(const Shard& shard) {
  std::vector<std::string> names;
  for (const TensorSpec& spec : shard.specs) names.push_back(spec.name);
  return names;
}

TEST(ShardPlan, OneFileWhenAllFits) {
  const auto shards = plan_shards(kSpecs, 6 + 16 + 20);
  ASSERT_EQ(shards.size(), 1u);
  EXPECT_EQ(shards[0].file, "model.safetensors");
  EXPECT_THAT(names_of(shards[0]), ElementsAre("b", "a", "c", "d"));
}

TEST(ShardPlan, AreFilledUpToTheLimit) {
  const auto shards = plan_shards(kSpecs, 6 + 16);
  ASSERT_EQ(shards.size(), 2u);
  EXPECT_EQ(shards[0].file, "model-00001-of-00002.safetensors");
  EXPECT_THAT(names_of(shards[0]), ElementsAre("b", "a", "c"));
  EXPECT_THAT(names_of(shards[1]), ElementsAre("d"));
  EXPECT_EQ(plan_shards(kSpecs, 6 + 16 - 1).size(), 3u);
  EXPECT_EQ(plan_shards(kSpecs, 1).size(), 3u) << "a tensor larger than the limit has a file to itself";
}

TEST(ShardPlan, AreReadBackThroughTheirIndex) {
  const TemporaryFolder folder;
  const auto shards = plan_shards(kSpecs, 22);
  for (const Shard& shard : shards) {
    SafetensorsWriter writer(folder / shard.file, shard.specs);
    for (const TensorSpec& spec : writer.specs()) writer.write(bytes_for(spec));
    writer.finish();
  }
  write_text(folder / "model.safetensors.index.json", shard_index_json(shards));
  const CheckpointFiles files(folder.path());
  ASSERT_EQ(files.tensors().size(), kSpecs.size());
  for (const TensorSpec& spec : kSpecs) {
    const auto bytes = bytes_for(spec);
    EXPECT_TRUE(std::ranges::equal(files.tensors().at(spec.name).bytes, bytes)) << spec.name;
  }
  EXPECT_EQ(Json::parse(shard_index_json(shards)).at("metadata").at("total_size"), 42);
}

TEST(Sizes, AreReadWithTheirUnits) {
  EXPECT_EQ(parse_size("5GB", "x"), 5000000000u);
  EXPECT_EQ(parse_size("1.5MB", "x"), 1500000u);
  EXPECT_EQ(parse_size("1GiB", "x"), 1073741824u);
  EXPECT_EQ(parse_size("4096", "x"), 4096u);
  for (const char* text : {"", "GB", "5 gigabytes", "-1GB", "0", "nan", "1e30GB"}) {
    EXPECT_THAT(user_error([&] { parse_size(text, "--max_shard_size"); }),
                HasSubstr("--max_shard_size: '" + std::string(text) + "' is not a size; write it as 5GB"));
  }
}

TEST(StagedFolder, AppearsWholeOrNotAtAll) {
  const TemporaryFolder folder;
  {
    const StagedFolder staged(folder / "a/b/");
    write_text(staged.path() / "file", "text");
    EXPECT_FALSE(fs::exists(folder / "a/b"));
  }
  EXPECT_TRUE(fs::is_empty(folder / "a"));
  fs::create_directory(folder / "a/b");  // an empty folder gives way
  StagedFolder staged(folder / "a/b/");
  write_text(staged.path() / "file", "text");
  staged.commit();
  EXPECT_EQ(snapshot(folder / "a").size(), 2u) << "the folder and its file";
  EXPECT_EQ(text_of(folder / "a/b/file"), "text");
}

TEST(StagedFolder, TakesAPlaceThatIsFree) {
  const TemporaryFolder folder;
  EXPECT_NO_THROW(check_is_new_folder(folder / "new", "--out"));
  EXPECT_NO_THROW(check_is_new_folder(folder.path(), "--out"));
  write_text(folder / "file", "");
  EXPECT_THAT(user_error([&] { check_is_new_folder(folder.path(), "--out"); }), HasSubstr("is not empty"));
  EXPECT_THAT(user_error([&] { check_is_new_folder(folder / "file", "--out"); }), HasSubstr("is a file"));
}

TEST(StagedFolder, ADiskWithoutRoomIsNamedWithBothSizes) {
  const TemporaryFolder folder;
  EXPECT_NO_THROW(check_disk_space(folder / "new/folder", 1));
  try {
    check_disk_space(folder / "new/folder", std::uint64_t{1} << 60);
    FAIL() << "nothing was thrown";
  } catch (const RunError& error) {
    EXPECT_THAT(error.what(), HasSubstr("new/folder: needs 1152921504.61 GB, "));
  }
}

}  // namespace
}  // namespace higgs::test
