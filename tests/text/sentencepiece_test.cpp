// tests/golden/text/sentencepiece: a BPE model of 700 pieces with byte fallback, trained for this test, and
// what Python's sentencepiece 0.2 makes of some strings.
#include <gtest/gtest.h>

#include <random>

#include "text/tiny_tokenizer.h"

namespace higgs::test {
namespace {

void copy_model(const TemporaryFolder& folder) {
  fs::copy_file(golden("text/sentencepiece/tokenizer.model"), folder / "tokenizer.model");
}

TEST(Sentencepiece, EncodesAndDecodesAsTheReference) {
  const auto tokenizer = load_tokenizer(golden("text/sentencepiece"));
  const fs::path path = golden("text/sentencepiece/expected.json");
  const Json rows = parse_json(read_file(path), path.string());
  ASSERT_GE(rows.size(), 100u);
  for (const Json& row : rows) {
    EXPECT_EQ(tokenizer->encode(row["text"].get<std::string>()), row["ids"].get<Ids>()) << row["text"];
    EXPECT_EQ(tokenizer->decode(row["ids"].get<Ids>(), true), row["decoded"].get<std::string>());
  }
}

TEST(Sentencepiece, FindsPiecesAndUserDefinedSymbols) {
  const auto tokenizer = load_tokenizer(golden("text/sentencepiece"));
  EXPECT_EQ(tokenizer->vocab_size(), 700);
  EXPECT_EQ(tokenizer->find("</s>"), 2);
  EXPECT_EQ(tokenizer->find("<unk>"), 0);
  EXPECT_EQ(tokenizer->find("no such piece"), std::nullopt);
  const std::int64_t audio = tokenizer->id_of("<|AUDIO|>");
  const Ids ids = tokenizer->encode("hi <|AUDIO|>");
  EXPECT_EQ(ids.back(), audio);
  EXPECT_EQ(tokenizer->decode(ids, false), "hi <|AUDIO|>");
}

TEST(Sentencepiece, ControlPiecesInTextAreText) {
  const auto tokenizer = load_tokenizer(golden("text/sentencepiece"));
  const std::int64_t control = tokenizer->id_of("<|eot|>");
  const Ids ids = tokenizer->encode("<|eot|>");
  EXPECT_EQ(std::count(ids.begin(), ids.end(), control), 0);
  EXPECT_EQ(tokenizer->decode(Ids{control}, false), "<|eot|>");
  EXPECT_EQ(tokenizer->decode(Ids{control}, true), "");
}

TEST(Sentencepiece, AddedTokensBesideTheModelAreRecognisedInText) {
  for (const bool in_config : {true, false}) {
    const TemporaryFolder folder;
    copy_model(folder);
    if (in_config) {
      write_text(folder / "tokenizer_config.json",
                 R"({"added_tokens_decoder": {"700": {"content": "<|im_end|>", "special": true}}})");
    } else {
      write_text(folder / "added_tokens.json", R"({"<|im_end|>": 700})");
      write_text(folder / "special_tokens_map.json", R"({"additional_special_tokens": ["<|im_end|>"]})");
    }
    const auto tokenizer = load_tokenizer(folder.path());
    Ids expected = tokenizer->encode("yes");
    expected.push_back(700);
    EXPECT_EQ(tokenizer->encode("yes<|im_end|>"), expected);
    EXPECT_EQ(tokenizer->vocab_size(), 701);
    EXPECT_EQ(tokenizer->decode(expected, false), "yes<|im_end|>");
    EXPECT_EQ(tokenizer->decode(expected, true), "yes");
  }
}

TEST(Sentencepiece, AnAddedTokenOnAnotherPiecesIdIsRefused) {
  const TemporaryFolder folder;
  copy_model(folder);
  write_text(folder / "added_tokens.json", R"({"<|im_end|>": 5})");
  EXPECT_NE(user_error([&] { load_tokenizer(folder.path()); }).find("'<|im_end|>' has id 5"),
            std::string::npos);
}

TEST(Sentencepiece, BytesThatAreNoUtf8AreEncodedAsReplacements) {
  const auto tokenizer = load_tokenizer(golden("text/sentencepiece"));
  EXPECT_EQ(tokenizer->encode("a\xFF\xE2\x82z"), tokenizer->encode("a\uFFFD\uFFFDz"));
  EXPECT_EQ(tokenizer->decode(Ids{-1, 1 << 20}, false), "");
}

TEST(Sentencepiece, ADamagedModelNeverCrashes) {
  const TemporaryFolder folder;
  const std::string whole = read_file(golden("text/sentencepiece/tokenizer.model"));
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    std::string damaged = whole;
    if (i % 2 == 0) {
      damaged.resize(random() % whole.size());
    } else {
      for (int k = 0; k < 4; ++k) damaged[random() % damaged.size()] = static_cast<char>(random() % 256);
    }
    write_text(folder / "tokenizer.model", damaged);
    try {
      const auto tokenizer = load_tokenizer(folder.path());
      tokenizer->decode(tokenizer->encode("some text, 12 <|AUDIO|>"), false);
    } catch (const UserError& error) {
      EXPECT_NE(std::string(error.what()).find("tokenizer.model"), std::string::npos);
    }
  }
  write_text(folder / "tokenizer.model", "not a model");
  EXPECT_NE(user_error([&] { load_tokenizer(folder.path()); }).find("is no sentencepiece model"),
            std::string::npos);
}

TEST(LoadTokenizer, PrefersTokenizerJson) {
  const TemporaryFolder folder;
  copy_model(folder);
  write_text(folder / "tokenizer.json", tiny_tokenizer({}, Json::array()).dump());
  EXPECT_EQ(load_tokenizer(folder.path())->vocab_size(), 256);
}

// A serialized model whose normalizer has this character map.
std::string model_with_map(const std::string& map) {
  const auto field = [](int number, const std::string& bytes) {
    std::string size;
    for (std::size_t n = bytes.size();; n >>= 7) {
      size += static_cast<char>((n & 0x7F) | (n > 0x7F ? 0x80 : 0));
      if (n <= 0x7F) break;
    }
    return std::string(1, static_cast<char>(number << 3 | 2)) + size + bytes;
  };
  return text_of(golden("text/sentencepiece/tokenizer.model")) + field(3, field(2, map));
}

// A map of `units` trie units and a text.
std::string map_of(std::vector<std::uint32_t> units, const std::string& texts) {
  const auto size = static_cast<std::uint32_t>(4 * units.size());
  units.insert(units.begin(), size);
  return std::string(reinterpret_cast<const char*>(units.data()), 4 * units.size()) + texts;
}

// sentencepiece follows the map without looking where it leads.
TEST(Sentencepiece, RefusesACharacterMapThatLeadsOutside) {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& map) {
    write_text(folder / "tokenizer.model", model_with_map(map));
    return user_error([&] { load_tokenizer(folder.path()); });
  };
  const std::string refused =
      (folder / "tokenizer.model").string() + ": its character map is damaged; copy it anew";
  EXPECT_EQ(refusal(map_of({0x7FFFFE00u}, std::string(1, '\0'))), refused)
      << "an offset two billion units away";
  EXPECT_EQ(refusal(map_of(std::vector<std::uint32_t>(255, 0), std::string(1, '\0'))), refused)
      << "255 of 256 children";
  EXPECT_EQ(refusal(map_of(std::vector<std::uint32_t>(256, 0), "a")), refused) << "a text without an end";
  std::vector<std::uint32_t> valued(256, 0);
  valued[0] = (1u << 8) | (1u << 10);
  valued[1] = 0x80000000u;
  write_text(folder / "tokenizer.model", model_with_map(map_of(valued, std::string(1, '\0'))));
  EXPECT_FALSE(load_tokenizer(folder.path())->encode("hi").empty()) << "a value at the texts' only byte";
  valued[1] = 0x80000001u;
  EXPECT_EQ(refusal(map_of(valued, std::string(1, '\0'))), refused) << "a value behind the texts";
  EXPECT_EQ(refusal("abc"), refused);
}

}  // namespace
}  // namespace higgs::test
