// Weight files of a checkpoint folder, and names resolved in the Hugging Face cache.
#include "higgs/formats/checkpoint_files.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "higgs/base/json.h"
#include "higgs/formats/hub.h"
#include "support/paths.h"
#include "support/process.h"

namespace higgs::test {
namespace {

using ::testing::HasSubstr;

class Shards : public ::testing::Test {
 protected:
  Shards() {
    put("a.safetensors", {"x", "y"});
    put("b.safetensors", {"z"});
    index(R"({"x": "a.safetensors", "y": "a.safetensors", "z": "b.safetensors"})");
  }
  void put(const std::string& name, const std::vector<std::string>& tensors) {
    std::vector<TensorToWrite> list;
    for (const std::string& tensor : tensors)
      list.push_back({tensor, DType::kF32, {2}, std::as_bytes(std::span(values))});
    write_safetensors(folder / name, list);
  }
  void index(const std::string& map) {
    write_text(folder / "model.safetensors.index.json", "{\"weight_map\": " + map + "}");
  }
  std::string error() {
    return user_error([&] { CheckpointFiles files(folder.path()); });
  }
  const std::vector<float> values = {1, 2};
  TemporaryFolder folder;
};

TEST_F(Shards, AreReadAsOne) {
  const CheckpointFiles files(folder.path());
  EXPECT_EQ(files.tensors().size(), 3u);
  EXPECT_EQ(files.file_of("z")->path(), folder / "b.safetensors");
  EXPECT_FALSE(files.contains("w"));
}

TEST_F(Shards, ASingleFileComesFirst) {
  put("model.safetensors", {"only"});
  EXPECT_EQ(CheckpointFiles(folder.path()).tensors().size(), 1u);
}

TEST_F(Shards, AMissingOneIsNamed) {
  fs::remove(folder / "b.safetensors");
  EXPECT_THAT(error(), HasSubstr("b.safetensors: missing shard, named by model.safetensors.index.json"));
}

TEST_F(Shards, ATensorThatIsElsewhereIsNamed) {
  index(R"({"x": "a.safetensors", "y": "b.safetensors", "z": "b.safetensors"})");
  EXPECT_THAT(error(), HasSubstr("tensor 'y' is not in b.safetensors"));
  index(R"({"x": "a.safetensors", "z": "b.safetensors", "w": "b.safetensors"})");
  EXPECT_THAT(error(), HasSubstr("tensor 'w' is not in b.safetensors"));
}

TEST_F(Shards, ATensorInTwoIsNamed) {
  put("b.safetensors", {"z", "x"});
  EXPECT_THAT(error(), HasSubstr("b.safetensors: tensor 'x' is in another shard too"));
}

TEST_F(Shards, OutsideTheFolderAreRefused) {
  index(R"({"x": "../a.safetensors"})");
  EXPECT_THAT(error(), HasSubstr("shard '../a.safetensors' must be a file name without folders"));
}

TEST_F(Shards, WithNamesThatNoFileCanHaveAreMissing) {
  index(R"({"x": ")" + std::string(5000, 's') + "\"}");
  EXPECT_THAT(error(), HasSubstr("missing shard"));
  index(R"({"x": ".."})");
  EXPECT_THAT(error(), HasSubstr("is a folder"));
}

TEST_F(Shards, BadIndicesAreRefused) {
  index("[]");
  EXPECT_THAT(error(), HasSubstr("weight_map"));
  index(R"({"x": 3})");
  EXPECT_THAT(error(), HasSubstr("'x'"));
  write_text(folder / "model.safetensors.index.json", "{");
  EXPECT_THAT(error(), HasSubstr("model.safetensors.index.json"));
}

TEST_F(Shards, LfsPointersAreNamed) {
  write_text(folder / "b.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n");
  EXPECT_THAT(error(),
              HasSubstr("b.safetensors: is a git-LFS pointer, not the file itself; run `git lfs pull`"));
}

TEST(CheckpointFiles, FoldersWithoutWeightsAreNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT(user_error([&] { CheckpointFiles files(folder.path()); }),
              HasSubstr("has neither model.safetensors nor model.safetensors.index.json"));
  EXPECT_THAT(user_error([&] { CheckpointFiles files(folder / "none"); }), HasSubstr("none: no such folder"));
}

// Sets variables for one test.
class Variables {
 public:
  ~Variables() {
    for (const auto& [name, value] : before_) {
      value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
    }
  }
  void set(const std::string& name, const std::string& value) {
    const char* old = std::getenv(name.c_str());
    before_.emplace(name, old != nullptr ? std::optional<std::string>(old) : std::nullopt);
    value.empty() ? ::unsetenv(name.c_str()) : ::setenv(name.c_str(), value.c_str(), 1);
  }

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

class Hub : public ::testing::Test {
 protected:
  Hub() {
    variables.set("HF_HUB_CACHE", "");
    variables.set("HF_HOME", (folder / "home").string());
  }
  // A cached snapshot of org/name below `cache`.
  fs::path snapshot(const fs::path& cache) {
    const fs::path repository = cache / "models--org--name";
    fs::create_directories(repository / "refs");
    fs::create_directories(repository / "snapshots" / "abc123");
    write_text(repository / "refs" / "main", "abc123\n");
    write_text(repository / "snapshots" / "abc123" / "config.json", "{}");
    return repository / "snapshots" / "abc123";
  }
  TemporaryFolder folder;
  Variables variables;
};

TEST_F(Hub, AFolderIsTakenAsItIs) {
  EXPECT_EQ(resolve_checkpoint(folder.path().string(), "--base_ckpt"), folder.path());
}

TEST_F(Hub, AnIdIsFoundInTheCache) {
  const fs::path at_home = snapshot(folder / "home" / "hub");
  EXPECT_EQ(resolve_checkpoint("org/name", "--base_ckpt"), at_home);
  const fs::path elsewhere = snapshot(folder / "cache");
  variables.set("HF_HUB_CACHE", (folder / "cache").string());
  EXPECT_EQ(resolve_checkpoint("org/name", "--base_ckpt"), elsewhere);
  variables.set("HF_HUB_CACHE", "");
  variables.set("HF_HOME", "");
  const fs::path of_user = snapshot(folder / "xdg" / "huggingface" / "hub");
  variables.set("XDG_CACHE_HOME", (folder / "xdg").string());
  EXPECT_EQ(resolve_checkpoint("org/name", "--base_ckpt"), of_user);
  variables.set("XDG_CACHE_HOME", "");
  variables.set("HOME", (folder / "user").string());
  const fs::path default_place = snapshot(folder / "user" / ".cache" / "huggingface" / "hub");
  EXPECT_EQ(resolve_checkpoint("org/name", "--base_ckpt"), default_place);
}

TEST_F(Hub, AReferenceThatLeavesTheCacheIsRefused) {
  const fs::path snapshots = snapshot(folder / "home" / "hub").parent_path();
  for (const char* revision : {"../snapshots/abc123", "/etc", "..", ""}) {
    write_text(snapshots.parent_path() / "refs" / "main", revision);
    EXPECT_THAT(user_error([] { resolve_checkpoint("org/name", "--base_ckpt"); }),
                HasSubstr("names no snapshot"))
        << revision;
  }
}

TEST_F(Hub, AnUnknownIdComesWithTheCommandThatGetsIt) {
  const std::string message = user_error([] { resolve_checkpoint("org/other", "--base_ckpt"); });
  EXPECT_THAT(message, HasSubstr("--base_ckpt org/other: neither a folder nor in the Hugging Face cache"));
  EXPECT_THAT(message, HasSubstr("hf download org/other"));
  const fs::path path = snapshot(folder / "home" / "hub");
  fs::remove_all(path);
  EXPECT_THAT(user_error([] { resolve_checkpoint("org/name", "--base_ckpt"); }),
              HasSubstr("abc123: snapshot is missing; get it with: hf download org/name"));
}

TEST_F(Hub, ASnapshotWithoutItsConfigIsNoCheckpoint) {
  const fs::path path = snapshot(folder / "home" / "hub");
  fs::remove(path / "config.json");
  write_text(path / "README.md", "what a gated repository shows to everyone");
  const std::string message = user_error([] { resolve_checkpoint("org/name", "--base_ckpt"); });
  EXPECT_THAT(message, HasSubstr("abc123: has no config.json; download it again: hf download org/name"));
  EXPECT_THAT(message, HasSubstr("accept its licence at https://huggingface.co/org/name and set HF_TOKEN"));
}

// A download that was cut short leaves a blob that ends in .incomplete, and no link to it.
TEST_F(Hub, AnUnfinishedDownloadIsNamed) {
  const fs::path path = snapshot(folder / "home" / "hub");
  const fs::path blobs = path.parent_path().parent_path() / "blobs";
  write_text(path / "model.safetensors.index.json",
             R"({"weight_map": {"x": "model-00001-of-00001.safetensors"}})");
  const auto error = [&] { return user_error([&] { CheckpointFiles files(path); }); };
  EXPECT_THAT(error(), HasSubstr("model-00001-of-00001.safetensors: missing shard"));
  EXPECT_THAT(error(), HasSubstr("download it again: hf download org/name"));
  fs::create_directories(blobs);
  write_text(blobs / "0a1b.incomplete", "half");
  EXPECT_THAT(error(),
              HasSubstr("stopped in the middle (blobs/0a1b.incomplete); go on with: hf download org/name"));
  fs::remove(path / "model.safetensors.index.json");
  EXPECT_THAT(error(), HasSubstr("has neither model.safetensors nor"));
  EXPECT_THAT(error(), HasSubstr("blobs/0a1b.incomplete"));
  fs::remove(path / "config.json");
  EXPECT_THAT(user_error([] { resolve_checkpoint("org/name", "--base_ckpt"); }),
              HasSubstr("blobs/0a1b.incomplete"));
}

TEST(LfsPointer, InPlaceOfAJsonFileIsNamed) {
  TemporaryFolder folder;
  write_text(folder / "tokenizer.json",
             "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n");
  EXPECT_THAT(user_error([&] { read_json_file(folder / "tokenizer.json"); }),
              HasSubstr("tokenizer.json: is a git-LFS pointer, not the file itself; run `git lfs pull`"));
}

TEST_F(Hub, WhatIsNoIdIsAMissingFolder) {
  for (const char* name : {"/nonexistent/base", "../x", "a/b/c", "name", ""}) {
    EXPECT_THAT(user_error([&] { resolve_checkpoint(name, "--base_ckpt"); }), HasSubstr("no such folder"))
        << name;
  }
}

}  // namespace
}  // namespace higgs::test
