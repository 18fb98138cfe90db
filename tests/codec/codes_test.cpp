#include "higgs/codec/codes.h"

#include <gtest/gtest.h>

#include <span>

#include "higgs/formats/safetensors.h"
#include "support/paths.h"
#include "support/process.h"

namespace higgs {
namespace {

using test::TemporaryFolder;
using test::user_error;

void write_as_int64(const fs::path& path, const std::vector<std::int64_t>& shape,
                    const std::vector<std::int64_t>& values, const std::string& name = "codes") {
  write_safetensors(path, {{name, DType::kI64, shape, std::as_bytes(std::span(values))}});
}

TEST(CodesFile, GivesBackWhatWasWritten) {
  const TemporaryFolder folder;
  const Codes codes{2, 3, {0, 1, 2, 1021, 1022, 1023}};
  write_codes(folder / "a.safetensors", codes);
  const Codes read = read_codes(folder / "a.safetensors");
  EXPECT_EQ(read.num_codebooks, 2);
  EXPECT_EQ(read.num_frames, 3);
  EXPECT_EQ(read.values, codes.values);
  EXPECT_EQ(read.at(1, 0), 1021);
  EXPECT_EQ(SafetensorsFile(folder / "a.safetensors").at("codes").dtype, DType::kI16);
}

TEST(CodesFile, ReadsOtherIntegerTypes) {
  const TemporaryFolder folder;
  write_as_int64(folder / "a.safetensors", {2, 2}, {4, 3, 2, 1});
  EXPECT_EQ(read_codes(folder / "a.safetensors").values, (std::vector<std::int16_t>{4, 3, 2, 1}));
}

// Still codes, each of them: only the hash tells.
TEST(CodesFile, RefusesCodesWithABitFlipped) {
  const TemporaryFolder folder;
  write_codes(folder / "a.safetensors", {2, 3, {0, 1, 2, 1021, 1022, 1023}});
  std::string bytes = test::text_of(folder / "a.safetensors");
  bytes[bytes.size() - 2] = static_cast<char>(bytes[bytes.size() - 2] ^ 1);
  test::write_text(folder / "a.safetensors", bytes);
  const std::string said = user_error([&] { read_codes(folder / "a.safetensors"); });
  EXPECT_NE(said.find("a.safetensors: tensor 'codes' holds other codes than were written"), std::string::npos)
      << said;
}

TEST(CodesFile, RefusesWhatIsNoCode) {
  const TemporaryFolder folder;
  const fs::path path = folder / "a.safetensors";
  const auto message = [&] { return user_error([&] { read_codes(path); }); };
  write_as_int64(path, {1, 2}, {1, 32768});
  EXPECT_EQ(message(), path.string() + ": tensor 'codes' holds 32768, which is no code");
  write_as_int64(path, {1, 2}, {-1, 0});
  EXPECT_EQ(message(), path.string() + ": tensor 'codes' holds -1, which is no code");
  const std::string shape =
      ": tensor 'codes' must have the shape [number of codebooks, number of frames], none of them 0";
  write_as_int64(path, {2}, {1, 0});
  EXPECT_EQ(message(), path.string() + shape);
  write_as_int64(path, {8, 0}, {});
  EXPECT_EQ(message(), path.string() + shape);
  write_as_int64(path, {1, 1}, {1}, "code");
  EXPECT_EQ(message(), path.string() + ": has no tensor 'codes'");
  const std::vector<float> floats = {1.0f};
  write_safetensors(path, {{"codes", DType::kF32, {1, 1}, std::as_bytes(std::span(floats))}});
  EXPECT_EQ(message(), path.string() + ": tensor 'codes' must hold integers");
}

TEST(CheckCodes, RefusesWhatTheBaseCannotTake) {
  const auto message = [](const Codes& codes) {
    return user_error([&] { check_codes(codes, 2, 4, "m:1"); });
  };
  check_codes({2, 1, {0, 3}}, 2, 4, "m:1");
  EXPECT_EQ(message({3, 1, {0, 1, 2}}), "m:1: holds 3 codebooks, the base has 2");
  EXPECT_EQ(message({2, 0, {}}), "m:1: holds no frames");
  EXPECT_EQ(message({2, 1, {0, 4}}), "m:1: code 4 is outside the codebook of 4");
}

}  // namespace
}  // namespace higgs
