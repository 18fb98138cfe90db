#include "higgs/base/hash.h"

#include <gtest/gtest.h>

#include <string>

namespace higgs::test {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Expected values: `xxh3_128_hexdigest` of the Python package xxhash 4.1 (xxHash 0.8.4), seed 0.
TEST(Hasher, AgreesWithTheReferenceVectorsOfXxh3_128) {
  EXPECT_EQ(Hasher().hex(), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(Hasher().update(bytes_of("abc")).hex(), "06b05ab6733a618578af5f94892f3950");
  std::string long_text;
  for (int i = 0; i < 5000; ++i) long_text += static_cast<char>(i % 251);
  EXPECT_EQ(Hasher().update(bytes_of(long_text)).hex(), "b92ec02c39d33ce7b418500fc42320ee");
}

TEST(Hasher, BytesMayComeInPieces) {
  EXPECT_EQ(Hasher().update(bytes_of("ab")).update(bytes_of("c")).hex(),
            Hasher().update(bytes_of("abc")).hex());
}

TEST(Hasher, TextsAreKeptApart) {
  using std::string_view_literals::operator""sv;
  EXPECT_NE(Hasher().update("ab"sv).update("c"sv).hex(), Hasher().update("a"sv).update("bc"sv).hex());
  EXPECT_NE(Hasher().update(""sv).hex(), Hasher().hex());
}

TEST(Hasher, NumbersOfBothKindsCount) {
  EXPECT_NE(Hasher().update(std::uint64_t{1}).hex(), Hasher().update(std::uint64_t{2}).hex());
  EXPECT_NE(Hasher().update(1.0).hex(), Hasher().update(std::uint64_t{1}).hex());
}

TEST(Hasher, HexMayBeAskedForMidway) {
  Hasher hasher;
  hasher.update(bytes_of("ab"));
  const std::string midway = hasher.hex();
  EXPECT_EQ(midway, hasher.hex());
  EXPECT_EQ(hasher.update(bytes_of("c")).hex(), Hasher().update(bytes_of("abc")).hex());
}

}  // namespace
}  // namespace higgs::test
