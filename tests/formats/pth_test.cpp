#include "higgs/formats/pth.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "pth_case.h"

namespace higgs {
namespace {

using namespace test;  // NOLINT: the writer's pieces
using testing::HasSubstr;

TEST(Pth, HoldsWhatTorchSaved) {
  const PthFile file(golden("pth/tiny.pth"));
  const SafetensorsFile expected(golden("pth/tiny.safetensors"));
  EXPECT_EQ(file.tensors().size(), expected.tensors().size());
  for (const auto& [name, want] : expected.tensors()) {
    ASSERT_TRUE(file.contains(name)) << name;
    const TensorView& view = file.at(name);
    EXPECT_EQ(view.dtype, want.dtype) << name;
    EXPECT_EQ(view.shape, want.shape) << name;
    EXPECT_TRUE(std::ranges::equal(view.bytes, want.bytes)) << name;
  }
  EXPECT_EQ(file.at("views.whole").bytes.data(), file.at("views.again").bytes.data());
  EXPECT_EQ(file.at("views.whole").bytes.data() + 20, file.at("views.offset").bytes.data());
}

TEST(Pth, HoldsEveryTensorOfTheReferencesCodec) {
  const auto folder = external("goldens/boson/codec");
  if (!folder) GTEST_SKIP() << "the reference's model.pth is not part of the repository (HIGGS_TEST_DATA)";
  const PthFile file(*folder / "model.pth");
  const SafetensorsFile expected(*folder / "model.safetensors");
  EXPECT_EQ(file.tensors().size(), 458u);
  for (const auto& [name, want] : expected.tensors()) {
    ASSERT_TRUE(file.contains(name)) << name;
    const TensorView& view = file.at(name);
    EXPECT_EQ(view.dtype, DType::kF32) << name;
    EXPECT_EQ(view.shape, want.shape) << name;
    // The other file holds the upper half of every float.
    ASSERT_EQ(view.bytes.size(), 2 * want.bytes.size()) << name;
    for (std::size_t i = 0; i < view.bytes.size(); ++i) {
      ASSERT_EQ(view.bytes[i], i % 4 < 2 ? std::byte{0} : want.bytes[i / 4 * 2 + i % 4 - 2]) << name;
    }
  }
}

TEST(Pth, ReadsWideArchives) {
  const StoredView view{"0", 6, {2, 3}, {3, 1}};
  const std::string storage(24, 'x');
  const std::string bytes = zip_bytes(pth_records(pickled_state_dict(view), {storage}), /*zip64=*/true);
  const PthFile file(bytes_of(bytes), "f.pth");
  EXPECT_EQ(file.at("t").shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_TRUE(std::ranges::equal(file.at("t").bytes, bytes_of(storage)));
}

TEST(Pth, NamesTheOpcodeOrGlobalItRefuses) {
  EXPECT_EQ(
      error_of(file_of_pickle(kPickleBegin + "cposix\nsystem\n(X\x02" + std::string(3, '\0') + "lstR.")),
      "f.pth: data.pkl: byte 2: global 'posix system' is not among those that weights need; refused");
  EXPECT_EQ(
      error_of(file_of_pickle(kPickleBegin + "}\x93.")),
      "f.pth: data.pkl: byte 3: opcode STACK_GLOBAL (0x93) is not among those that weights need; refused");
  EXPECT_THAT(error_of(file_of_pickle(kPickleBegin + "cbuil\rtins\nev\x01l\n.")),
              HasSubstr("global 'buil?tins ev?l'"));
  EXPECT_THAT(error_of(file_of_pickle(kPickleBegin + "\x07")), HasSubstr("opcode 0x07 is not among"));
  EXPECT_THAT(error_of(file_of_pickle(pickled_state_dict({"0", 6, {6}, {1}, 0, "ComplexFloatStorage"}))),
              HasSubstr("global 'torch ComplexFloatStorage'"));
  EXPECT_THAT(error_of(file_of_pickle(kPickleBegin + "ctorch._utils\n_rebuild_tensor\n.")),
              HasSubstr("global 'torch._utils _rebuild_tensor'"));
}

// Every opcode that isn't on the list, alone after the header.
TEST(Pth, RefusesEveryOtherOpcode) {
  const std::string allowed = ".(JKMNQRXabc}ehj]qrst)uG\x80\x85\x86\x87\x88\x89\x8a";
  int refused = 0;
  for (int code = 0; code < 256; ++code) {
    if (allowed.find(static_cast<char>(code)) != std::string::npos) continue;
    const std::string pickle = kPickleBegin + static_cast<char>(code) + std::string(16, '\0');
    EXPECT_THAT(error_of(file_of_pickle(pickle)), HasSubstr("is not among those that weights need")) << code;
    ++refused;
  }
  EXPECT_EQ(refused, 256 - 31);  // PROTO, which only begins a pickle, among those left out
}

TEST(Pth, RefusesPicklesThatMakeNoSense) {
  const std::string begin = kPickleBegin;
  const std::vector<std::string> pickles = {
      "",                 // nothing
      "\x80",             // no protocol
      "}.",               // no header
      begin,              // no end
      begin + ".",        // an empty stack
      begin + "}}.",      // two values
      begin + "}.}",      // something after the end
      begin + "(}.",      // an open mark
      begin + "}(.",      //
      begin + "s.",       // nothing to set
      begin + "}NNNu.",   // no mark
      begin + "}(Nu.",    // a key without a value
      begin + "]NNs.",    // a list is no dict
      begin + "}Na.",     // a dict is no list
      begin + "t.",       // no mark
      begin + "N\x86.",   // too few for a pair
      begin + "}h\x05.",  // never put there
      begin + "q\x01.",   // nothing to put
      begin +
          "X\xff\xff\xff\xff"
          "abc.",                                       // text longer than the pickle
      begin + "\x8a\x09" + std::string(9, '\1') + ".",  // an integer of 72 bits
      begin + "ccollections\nOrderedDict",              // a name without an end
      begin + "ccollections\nOrderedDict\n}R.",         // arguments that are no tuple
      begin + "ccollections\nOrderedDict\nN\x85R.",     // too many
      begin + "ctorch\nFloatStorage\n)R.",              // no function
      begin + ")Q.",                                    // an empty reference
      begin + pickled_text("storage") + "Q.",           // no tuple
      begin + "}Nb.",                                   // attributes that are no dict
      begin + "]}b.",                                   // attributes of a list
      begin + "N)R.",                                   // None is no function
      begin + "ctorch._utils\n_rebuild_parameter\nNN\x88\x87R.",
  };
  for (const std::string& pickle : pickles) error_of(file_of_pickle(pickle));
  EXPECT_THAT(error_of(file_of_pickle(begin + "].")), HasSubstr("its top is no dict"));
  EXPECT_THAT(error_of(file_of_pickle(begin + "}}" + pickled_tensor({"0", 6, {6}, {1}}) + "s.")),
              HasSubstr("a key that is no name"));
}

TEST(Pth, StandsDictsThatHoldOneAnother) {
  // A dict in itself, and a tree of dicts each twice in the one above: 2^40 leaves.
  EXPECT_THAT(error_of(file_of_pickle(kPickleBegin + "}q\1" + pickled_text("a") + "h\1s.")),
              HasSubstr("nested too deep"));
  std::string pickle = kPickleBegin + "}q" + '\0';
  for (char i = 1; i <= 40; ++i) {
    const std::string below = std::string("h") + static_cast<char>(i - 1);
    pickle += std::string("}q") + i + "(" + pickled_text("a") + below + pickled_text("b") + below + "u";
  }
  EXPECT_THAT(error_of(file_of_pickle(pickle.substr(0, 2) + "(" + pickle.substr(2) + "t.")),
              HasSubstr("its top is no dict"));
  pickle = kPickleBegin + "(}q" + '\0';
  for (char i = 1; i <= 6; ++i) {
    pickle += std::string("}q") + i + "(";
    for (int k = 0; k < 30; ++k) {
      pickle += pickled_text(std::to_string(k)) + "h" + static_cast<char>(i - 1);
    }
    pickle += "u";
  }
  EXPECT_THAT(error_of(file_of_pickle(pickle + "t\x85h\x06\x86" + "}" + pickled_text("a") + "h\x06s.")),
              HasSubstr("does not end as a pickle does"));
  std::string tree = kPickleBegin + "}" + pickled_text("x") + pickle.substr(2) + "t\x85h\x06\x86s.";
  EXPECT_THAT(error_of(file_of_pickle(tree)), HasSubstr("nested too deep, or too large"));
}

TEST(Pth, ChecksViewsAgainstTheirStorage) {
  EXPECT_NO_THROW(PthFile(bytes_of(file_of({2, 2}, {1, 2}, 2, 6)), "f"));
  const std::string beyond = "f.pth: tensor 't' reaches beyond its storage";
  EXPECT_EQ(error_of(file_of({7}, {1}, 0, 6)), beyond);
  EXPECT_EQ(error_of(file_of({2}, {1}, 5, 6)), beyond);
  EXPECT_EQ(error_of(file_of({1}, {1}, 6, 6)), beyond);
  EXPECT_EQ(error_of(file_of({2, 2}, {1, 5}, 0, 6)), beyond);
  const std::int64_t huge = std::int64_t{1} << 62;
  EXPECT_EQ(error_of(file_of({huge, huge}, {1, 1}, 0, 6)), beyond);
  EXPECT_EQ(error_of(file_of({3, 1}, {huge, 1}, 0, 6)), beyond);
  EXPECT_EQ(error_of(file_of({1}, {1}, INT64_MAX, 6)), beyond);
  EXPECT_EQ(error_of(file_of({4, 4}, {0, 1}, 0, 6)),
            "f.pth: tensor 't' repeats elements of its storage; save it contiguous");
  EXPECT_THAT(error_of(file_of({-1}, {1}, 0, 6)), HasSubstr("negative size or stride"));
  EXPECT_THAT(error_of(file_of({2}, {-1}, 0, 6)), HasSubstr("negative size or stride"));
  EXPECT_THAT(error_of(file_of({2}, {1}, -1, 6)), HasSubstr("negative offset"));
  EXPECT_THAT(error_of(file_of({2}, {}, 0, 6)), HasSubstr("not the pickle of a state dict"));
  const std::vector<std::int64_t> ones(17, 1);
  EXPECT_THAT(error_of(file_of(ones, ones, 0, 6)), HasSubstr("more than 16 dimensions"));
  EXPECT_NO_THROW(PthFile(bytes_of(file_of({huge / 4, 0}, {huge, 1}, 0, 6)), "f"));
  // Nothing in it, but the dimensions beside the 0 are what strides are computed from.
  EXPECT_EQ(error_of(file_of({0, huge, huge}, {1, 1, 1}, 0, 6)), beyond);
}

TEST(Pth, ChecksStoragesAgainstTheirRecords) {
  const auto error = [](const StoredView& view, const std::string& storage) {
    return error_of(zip_bytes(pth_records(pickled_state_dict(view), {storage})));
  };
  EXPECT_EQ(error({"0", 6, {6}, {1}}, std::string(20, 'x')),
            "f.pth: tensor 't' has a storage of 20 bytes, not of 6 elements as the pickle says");
  EXPECT_THAT(error({"0", 5, {5}, {1}}, std::string(22, 'x')), HasSubstr("a storage of 22 bytes"));
  EXPECT_THAT(error({"0", INT64_MAX, {6}, {1}}, std::string(24, 'x')), HasSubstr("a storage of 24 bytes"));
  EXPECT_EQ(error({"1", 6, {6}, {1}}, std::string(24, 'x')), "f.pth: record 'data/1' is missing");
  EXPECT_THAT(error({"../0\n", 6, {6}, {1}}, std::string(24, 'x')), HasSubstr("'data/../0?' is missing"));
}

TEST(Pth, CopiesNoMoreThanAFewTimesTheFile) {
  std::string pickle = kPickleBegin + "}(";
  const std::size_t side = 100;
  for (int i = 0; i < 40; ++i) {
    pickle += pickled_text(std::to_string(i)) + pickled_tensor({"0", side * side, {side, side}, {1, side}});
  }
  const std::vector<std::string> storage = {std::string(4 * side * side, 'x')};
  EXPECT_THAT(error_of(zip_bytes(pth_records(pickle + "u.", storage))),
              HasSubstr("are views of one storage too often"));
}

}  // namespace
}  // namespace higgs
