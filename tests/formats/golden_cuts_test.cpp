// What the repository keeps of the references' outputs against the outputs themselves.
#include <gtest/gtest.h>

#include <cstring>

#include "higgs/formats/safetensors.h"
#include "support/boson_layout.h"
#include "support/process.h"

namespace higgs::test {
namespace {

// Made by a script of tests/parity rather than copied.
bool is_made_here(const std::string& name) {
  return name == "hf/out_lora_right_bf16.safetensors";  // make_bf16_golden.py
}

bool holds_integers(DType dtype) {
  return dtype == DType::kU8 || dtype == DType::kI8 || dtype == DType::kI16 || dtype == DType::kI32 ||
         dtype == DType::kI64 || dtype == DType::kBool;
}

// NAME_rows_every_Nth holds every N-th row of NAME.
void expect_rows(const TensorView& kept, const SafetensorsFile& whole, const std::string& name) {
  const std::size_t mark = name.find("_rows_every_");
  const TensorView& all = whole.at(name.substr(0, mark));
  const std::size_t step = std::stoul(name.substr(mark + std::strlen("_rows_every_")));
  const std::size_t row = all.bytes.size() / static_cast<std::size_t>(all.shape.at(0));
  ASSERT_EQ(kept.bytes.size() / row, (static_cast<std::size_t>(all.shape[0]) + step - 1) / step);
  for (std::size_t i = 0; i * row < kept.bytes.size(); ++i) {
    EXPECT_EQ(std::memcmp(kept.bytes.data() + i * row, all.bytes.data() + i * step * row, row), 0)
        << "row " << i;
  }
}

// Long tensors are cut to their first rows.
void expect_first_rows(std::vector<std::int64_t> kept, std::vector<std::int64_t> whole) {
  ASSERT_EQ(kept.size(), whole.size());
  if (kept.empty()) return;
  EXPECT_LE(kept[0], whole[0]);
  EXPECT_GT(kept[0], whole[0] == 0 ? -1 : 0);
  kept[0] = whole[0];
  EXPECT_EQ(kept, whole);
}

void expect_cut(const fs::path& cut, const fs::path& original) {
  const SafetensorsFile kept(cut), whole(original);
  for (const auto& [name, view] : kept.tensors()) {
    SCOPED_TRACE(name);
    if (name.find("_rows_every_") != std::string::npos) {
      expect_rows(view, whole, name);
      continue;
    }
    ASSERT_TRUE(whole.contains(name));
    expect_first_rows(view.shape, whole.at(name).shape);
    if (holds_integers(view.dtype)) {
      std::vector<std::int64_t> integers = whole.integers(name);
      integers.resize(static_cast<std::size_t>(view.numel()));
      EXPECT_EQ(kept.integers(name), integers);
    } else {
      EXPECT_EQ(view.dtype, whole.at(name).dtype);
      ASSERT_LE(view.bytes.size(), whole.at(name).bytes.size());
      EXPECT_EQ(std::memcmp(view.bytes.data(), whole.at(name).bytes.data(), view.bytes.size()), 0);
    }
  }
}

void expect_same_file(const fs::path& made, const std::string& name) {
  const auto original = external("goldens/" + name);
  ASSERT_TRUE(original.has_value());
  const SafetensorsFile whole(*original);
  EXPECT_EQ(SafetensorsFile(made).tensors().size(), whole.tensors().size());
  expect_cut(made, *original);
}

// What tests write as the boson layout is what boson_multimodal and peft wrote.
TEST(GoldenCuts, RenamedTensorsAreTheBosonLayouts) {
  if (!external("goldens")) GTEST_SKIP() << "the whole goldens are not here: goldens/";
  const TemporaryFolder folder;
  write_boson_base(folder / "base");
  write_boson_adapter(folder / "adapter");
  expect_same_file(folder / "base/model.safetensors", "e2e/base_boson/model.safetensors");
  expect_same_file(folder / "adapter/adapter_model.safetensors",
                   "e2e/adapter_boson/adapter_model.safetensors");
  EXPECT_EQ(text_of(folder / "base/tokenizer.json"),
            text_of(*external("goldens/e2e/base_boson/tokenizer.json")));
}

TEST(GoldenCuts, HoldTheReferencesValues) {
  if (!external("goldens")) GTEST_SKIP() << "the whole goldens are not here: goldens/";
  int compared = 0;
  for (const char* part : {"boson", "hf", "e2e"}) {
    for (const auto& entry : fs::recursive_directory_iterator(golden(part))) {
      if (!entry.is_regular_file()) continue;
      const std::string name = fs::relative(entry.path(), golden("")).string();
      SCOPED_TRACE(name);
      if (is_made_here(name)) continue;
      const auto original = external("goldens/" + name);
      ASSERT_TRUE(original.has_value())
          << "no reference has such a file: name the script that makes it above";
      if (entry.path().extension() == ".safetensors") {
        expect_cut(entry.path(), *original);
      } else {
        EXPECT_EQ(text_of(entry.path()), text_of(*original));
      }
      ++compared;
    }
  }
  EXPECT_GT(compared, 100);
}

}  // namespace
}  // namespace higgs::test
