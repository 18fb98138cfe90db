#include <gtest/gtest.h>

#include <random>

#include "higgs/text/added_tokens.h"
#include "higgs/text/loaders.h"
#include "text/tiny_tokenizer.h"

namespace higgs::test {
namespace {

std::string load_error(const Json& file) {
  return user_error([&] { load(file); });
}

void expect_says(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(LoadTokenizer, NamesTheFolderThatHasNone) {
  const TemporaryFolder folder;
  expect_says(user_error([&] { load_tokenizer(folder.path()); }), folder.path().string());
  expect_says(user_error([&] { load_tokenizer(folder.path()); }),
              "neither tokenizer.json nor tokenizer.model");
  expect_says(user_error([&] { load_tokenizer(folder / "absent"); }), "is not a folder");
}

TEST(LoadTokenizer, ATruncatedFileIsAUserErrorThatNamesIt) {
  const TemporaryFolder folder;
  const std::string whole = tiny_tokenizer({"ab"}, {"a b"}).dump();
  for (std::size_t size = 0; size < whole.size(); size += 97) {
    write_text(folder / "tokenizer.json", whole.substr(0, size));
    const std::string message = user_error([&] { load_tokenizer(folder.path()); });
    ASSERT_TRUE(message.starts_with((folder / "tokenizer.json").string())) << size << ": " << message;
  }
}

TEST(LoadTokenizer, FlippedBytesNeverCrash) {
  const TemporaryFolder folder;
  const std::string whole = tiny_tokenizer({"ab"}, {"a b"}).dump();
  std::mt19937 random(5);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    std::string damaged = whole;
    for (int k = 0; k < 3; ++k) damaged[random() % damaged.size()] = static_cast<char>(random() % 256);
    write_text(folder / "tokenizer.json", damaged);
    try {
      load_tokenizer(folder.path())->encode("some text");
    } catch (const UserError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

TEST(LoadTokenizer, WrongTypesAreNamed) {
  const Json good = tiny_tokenizer({"ab"}, {"a b"});
  const auto changed = [&](const std::string& pointer, const Json& value) {
    Json file = good;
    file[Json::json_pointer(pointer)] = value;
    return load_error(file);
  };
  expect_says(changed("/model", 3), "'model'");
  expect_says(changed("/model/vocab", Json::array()), "'vocab'");
  expect_says(changed("/model/vocab/a", "x"), "the id of 'a'");
  expect_says(changed("/model/vocab/a", -1), "the id of 'a'");
  expect_says(changed("/model/vocab/a", std::uint64_t{1} << 63), "the id of 'a'");
  expect_says(changed("/model/vocab/a", kMaxTokenId), "the id of 'a'");  // a table that long for one token
  expect_says(changed("/model/vocab/a", 98), "two tokens have the id 98");
  expect_says(changed("/model/merges", "x"), "'merges'");
  expect_says(changed("/model/merges/0", "abc"),
              "merge 0 ('abc') must be two tokens with a space between them");
  expect_says(changed("/model/merges/0", "a b c"), "merge 0");
  expect_says(changed("/model/merges/0", {"a"}), "merge 0 must be \"a b\" or [\"a\", \"b\"]");
  expect_says(changed("/model/merges/0", "a zz"), "merge 0 names 'zz', which the vocabulary lacks");
  expect_says(changed("/model/merges/0", "a c"), "'ac'");
  expect_says(changed("/model/ignore_merges", 1), "'ignore_merges'");
  expect_says(changed("/added_tokens", 1), "'added_tokens'");
  expect_says(changed("/added_tokens/0", {{"id", 257}}), "'content'");
  expect_says(changed("/pre_tokenizer", "x"), "'pre_tokenizer'");
}

TEST(LoadTokenizer, WhatIsNotSupportedIsRefusedByName) {
  const Json good = tiny_tokenizer({"ab"}, {"a b"});
  const auto changed = [&](const std::string& pointer, const Json& value) {
    Json file = good;
    file[Json::json_pointer(pointer)] = value;
    return load_error(file);
  };
  expect_says(changed("/model/type", "Unigram"), "'Unigram'");
  expect_says(changed("/model/dropout", 0.1), "'dropout'");
  expect_says(changed("/model/byte_fallback", true),
              "'byte_fallback' is set, which byte-level BPE here does not support");
  expect_says(changed("/model/continuing_subword_prefix", "##"), "'continuing_subword_prefix'");
  expect_says(changed("/model/end_of_word_suffix", "</w>"),
              "'end_of_word_suffix' is set, which byte-level BPE here does not support");
  expect_says(changed("/normalizer", {{"type", "NFC"}}), "normalizer 'NFC'");
  expect_says(changed("/decoder", {{"type", "Metaspace"}}), "decoder 'Metaspace'");
  expect_says(changed("/pre_tokenizer", nullptr),
              "pre_tokenizer has no 'ByteLevel', only byte-level BPE is supported");
  expect_says(changed("/pre_tokenizer/type", "Whitespace"), "'Whitespace'");
  expect_says(changed("/pre_tokenizer/add_prefix_space", true), "'add_prefix_space'");
  const Json split = {{"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "Isolated"}};
  const auto with_split = [&](const std::string& key, const Json& value) {
    Json step = split;
    step[key] = value;
    return changed("/pre_tokenizer",
                   {{"type", "Sequence"}, {"pretokenizers", {step, good["pre_tokenizer"]}}});
  };
  expect_says(with_split("behavior", "Removed"), "'Removed'");
  expect_says(with_split("invert", true), "'invert'");
  expect_says(with_split("pattern", {{"String", "a"}}), "'Regex'");
  expect_says(with_split("pattern", {{"Regex", "^a"}}), "'^'");
  expect_says(with_split("pattern", {{"Regex", std::string(5000, 'a')}}),
              "a pattern of 5000 bytes, at most 4096 are allowed");
  const Json many(kMaxSplits + 1, split);
  expect_says(changed("/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", many}}), "Splits");
}

TEST(LoadTokenizer, ATokenThatTheModelNeedsIsNamed) {
  const auto tokenizer = load(tiny_tokenizer({}, Json::array()));
  expect_says(user_error([&] { tokenizer->id_of("<|AUDIO_OUT|>"); }),
              "the tokenizer has no token '<|AUDIO_OUT|>'; use the tokenizer that belongs to the checkpoint");
}

TEST(LoadTokenizer, ABrokenCompanionFileIsNamed) {
  const TemporaryFolder folder;
  write_text(folder / "tokenizer.json", tiny_tokenizer({}, Json::array()).dump());
  write_text(folder / "tokenizer_config.json", "{");
  expect_says(user_error([&] { load_tokenizer(folder.path()); }), "tokenizer_config.json: not valid JSON");
  write_text(folder / "tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "<a>"}}})");
  expect_says(user_error([&] { load_tokenizer(folder.path()); }), "'x' is no token id");
  write_text(folder / "tokenizer_config.json",
             R"({"added_tokens_decoder": {"99999999999": {"content": "<a>"}}})");
  expect_says(user_error([&] { load_tokenizer(folder.path()); }), "token id 99999999999 is out of range");
}

}  // namespace
}  // namespace higgs::test
