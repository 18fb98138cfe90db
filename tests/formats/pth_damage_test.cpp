// .pth files that are damaged, or something else.
#include <algorithm>
#include <cstring>
#include <random>

#include "higgs/base/error.h"
#include "pth_case.h"

namespace higgs {
namespace {

using namespace test;  // NOLINT: the writer's pieces
using testing::HasSubstr;

// A wide archive whose directory tells other sizes and another place for the storage: what is added to each.
std::string misplaced(std::uint64_t size, std::uint64_t stored_size, std::uint64_t offset) {
  std::string bytes =
      zip_bytes(pth_records(pickled_state_dict({"0", 6, {6}, {1}}), {std::string(24, 'x')}), /*zip64=*/true);
  const std::string name = "model/data/0";
  std::size_t at =
      bytes.rfind(name) + name.size() + 10;  // behind another extra field and the head of the wide one
  for (const std::uint64_t more : {size, stored_size, offset}) {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    value += more;
    std::memcpy(bytes.data() + at, &value, sizeof value);
    at += sizeof value;
  }
  return bytes;
}

TEST(DamagedPth, ChecksTheArchivesDirectory) {
  EXPECT_NO_THROW(PthFile(bytes_of(misplaced(0, 0, 0)), "f.pth"));
  EXPECT_EQ(error_of(misplaced(64, 64, 0)), "f.pth: records 'model/data/0' and 'model/version' overlap");
  EXPECT_THAT(error_of(misplaced(64, 0, 0)), HasSubstr("record 'model/data/0' has two sizes"));
  const std::uint64_t huge = std::uint64_t{1} << 62;
  const std::string outside = "f.pth: record 'model/data/0' lies outside the file (truncated or damaged?)";
  EXPECT_EQ(error_of(misplaced(huge, huge, 0)), outside);
  EXPECT_EQ(error_of(misplaced(0 - std::uint64_t{25}, 0 - std::uint64_t{25}, 0)), outside);
  EXPECT_THAT(error_of(misplaced(0, 0, 1)), HasSubstr("is not where the directory says"));
  EXPECT_THAT(error_of(misplaced(0, 0, huge)), HasSubstr("is not where the directory says"));
}

// The directory's own fields: signatures, counts, lengths, what a record is packed with.
TEST(DamagedPth, NamesADamagedDirectory) {
  const std::string good =
      zip_bytes(pth_records(pickled_state_dict({"0", 6, {6}, {1}}), {std::string(24, 'x')}));
  const std::size_t first = good.find("PK\x01\x02"), end = good.rfind("PK\x05\x06");
  ASSERT_NE(first, std::string::npos);
  const auto changed = [&](std::size_t at, char value) {
    std::string bytes = good;
    bytes[at] = value;
    return error_of(bytes);
  };
  const std::string damaged = "f.pth: the zip archive's directory is damaged";
  EXPECT_EQ(changed(first, 'Q'), damaged);          // no entry where one must be
  EXPECT_EQ(changed(end + 11, '\x7f'), damaged);    // more entries than there is room for
  EXPECT_EQ(changed(end + 10, '\x01'), damaged);    // fewer than there are
  EXPECT_EQ(changed(first + 33, '\x7f'), damaged);  // a comment that reaches behind the end
  EXPECT_THAT(changed(first + 8, '\x01'), HasSubstr("is encrypted"));
  std::string wide =
      zip_bytes(pth_records(pickled_state_dict({"0", 6, {6}, {1}}), {std::string(24, 'x')}), /*zip64=*/true);
  wide[wide.rfind("PK\x06\x06")] = 'Q';
  EXPECT_EQ(error_of(wide), damaged);
}

TEST(DamagedPth, TellsWhatKindOfFileItIsNot) {
  EXPECT_THAT(error_of(""), HasSubstr("is no zip archive"));
  EXPECT_THAT(
      error_of(std::string("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.", 15)),
      HasSubstr("is no zip archive (PyTorch before 1.6 wrote others); load it and torch.save it again"));
  EXPECT_THAT(error_of("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
              HasSubstr("is a git-LFS pointer, not the file itself; run `git lfs pull`"));
  EXPECT_THAT(error_of("PK\x03\x04 and no more"), HasSubstr("is truncated"));
  EXPECT_THAT(error_of(zip_bytes({{"a/b", "c"}})), HasSubstr("without a data.pkl"));
  EXPECT_THAT(error_of(zip_bytes({})), HasSubstr("without a data.pkl"));
  auto records = pth_records(pickled_state_dict({"0", 6, {6}, {1}}), {std::string(24, 'x')});
  records[1].bytes = "big";
  EXPECT_THAT(error_of(zip_bytes(records)), HasSubstr("big-endian"));
  records.erase(records.begin() + 1);  // as PyTorch before 2.1 writes it
  EXPECT_NO_THROW(PthFile(bytes_of(zip_bytes(records)), "f"));
  records[1].method = 8;
  EXPECT_THAT(error_of(zip_bytes(records)), HasSubstr("record 'model/data/0' is compressed"));
  records[1].method = 0;
  records.push_back(records[1]);
  EXPECT_THAT(error_of(zip_bytes(records)), HasSubstr("record 'model/data/0' is there twice"));
  records.back() = {"other/data.pkl", "x"};
  EXPECT_THAT(error_of(zip_bytes(records)), HasSubstr("holds two pickles"));
}

TEST(DamagedPth, NoticesATruncatedFileAtAnyLength) {
  const std::string whole = read_file(golden("pth/tiny.pth"));
  for (std::size_t size = 0; size < whole.size(); ++size) error_of(whole.substr(0, size));
}

// A flipped bit either does no harm (in padding or a time stamp) or is an error; never other values.
TEST(DamagedPth, NoticesFlippedBitsOrIsUntouched) {
  const std::string whole = read_file(golden("pth/tiny.pth"));
  const PthFile expected(bytes_of(whole), "f.pth");
  std::size_t noticed = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
    try {
      const PthFile file(bytes_of(flipped), "f.pth");
      ASSERT_EQ(file.tensors().size(), expected.tensors().size()) << "byte " << i;
      for (const auto& [name, want] : expected.tensors()) {
        ASSERT_TRUE(file.contains(name) && std::ranges::equal(file.at(name).bytes, want.bytes))
            << "byte " << i;
      }
    } catch (const UserError&) {
      ++noticed;
    }
  }
  EXPECT_GT(noticed, whole.size() / 2);
}

// Changes that a checksum doesn't see: the writer here makes a new one.
TEST(DamagedPth, SurvivesPicklesDamagedAtRandom) {
  const std::string pickle = pickled_state_dict({"0", 6, {2, 3}, {3, 1}});
  std::mt19937 random(11);
  int refused = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    std::string damaged = pickle;
    for (unsigned n = random() % 3 + 1; n > 0; --n) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    try {
      const std::string bytes = file_of_pickle(damaged);
      const PthFile file(bytes_of(bytes), "f.pth");
      for (const auto& [name, view] : file.tensors()) {
        ASSERT_EQ(view.bytes.size(), static_cast<std::size_t>(view.numel()) * size_of(view.dtype));
      }
    } catch (const UserError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 10000);
}

TEST(DamagedPth, ComparesChecksumsWhereThereAreSome) {
  auto records = pth_records(pickled_state_dict({"0", 6, {6}, {1}}), {std::string(24, 'x')});
  for (ZipRecord& record : records) record.has_checksum = false;
  std::string bytes = zip_bytes(records);
  bytes[bytes.find("xxx")] = 'y';
  const PthFile file(bytes_of(bytes), "f.pth");
  EXPECT_EQ(file.at("t").bytes[0], std::byte{'y'});
  for (ZipRecord& record : records) record.has_checksum = true;
  bytes = zip_bytes(records);
  bytes[bytes.find("xxx")] = 'y';
  EXPECT_EQ(error_of(bytes), "f.pth: record 'data/0' is damaged (wrong checksum); get the file again");
}

// Who reads the tensors copies them: a small file must not become a large model.
TEST(DamagedPth, CountsTensorsThatShareOneStorage) {
  const auto sharing = [](int count) {
    std::string pickle = kPickleBegin + "}(";
    for (int i = 0; i < count; ++i) {
      pickle += pickled_text("t" + std::to_string(i)) + pickled_tensor({"0", 600, {600}, {1}});
    }
    return zip_bytes(pth_records(pickle + "u.", {std::string(2400, 'x')}));
  };
  EXPECT_NO_THROW(PthFile(bytes_of(sharing(2)), "f.pth"));
  EXPECT_THAT(error_of(sharing(2000)), HasSubstr("views of one storage too often"));
}

}  // namespace
}  // namespace higgs
