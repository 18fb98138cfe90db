#include "higgs/base/json.h"

#include <gtest/gtest.h>

#include <limits>

#include "higgs/base/error.h"
#include "support/paths.h"

namespace higgs::test {
namespace {

std::string nested(int depth) {
  return std::string(static_cast<std::size_t>(depth), '[') +
         std::string(static_cast<std::size_t>(depth), ']');
}

JsonObject object_of(const Json& document) {
  return JsonObject(document, "config.json");
}

TEST(ParseJson, ReadsADocument) {
  const Json document = parse_json(R"({"a": [1, 2.5, "x", null, true], "b": {"a": 1}})", "m");
  EXPECT_EQ(document["a"].size(), 5u);
  EXPECT_EQ(document["b"]["a"], 1);
}

TEST(ParseJson, NamesThePlaceAndTheReason) {
  const std::string message = user_error([] { parse_json("{\"a\": }", "train.jsonl:7"); });
  EXPECT_EQ(message.rfind("train.jsonl:7: not valid JSON: ", 0), 0u) << message;
  EXPECT_NE(message.find("column"), std::string::npos) << message;
  EXPECT_EQ(message.find("json.exception"), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

TEST(ParseJson, QuotesOnlyTheBeginningOfWhatIsWrong) {
  EXPECT_LT(user_error([] { parse_json(std::string(100000, '1'), "m"); }).size(), 400u);
}

TEST(ParseJson, RefusesWhatIsNotOneWholeDocument) {
  for (const char* text : {"", "   ", "{", "[1,]", "{\"a\":1} x", "nul", "'a'", "\"a", "01", "\"\xff\"",
                           "1e999", "\"\\ud800\"", "NaN"}) {
    EXPECT_NE(user_error([&] { parse_json(text, "m"); }), "") << text;
  }
  EXPECT_NE(user_error([] { parse_json(std::string_view("\0", 1), "m"); }), "");
}

TEST(ParseJson, RefusesAKeyThatStandsTwiceInOneObject) {
  EXPECT_EQ(user_error([] { parse_json(R"({"a": 1, "b": {"c": 1, "c": 2}})", "m"); }),
            "m: key 'c' stands twice");
  EXPECT_NO_THROW(parse_json(R"({"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]})", "m"));
}

TEST(ParseJson, RefusesDeepNestingBeforeItCosts) {
  EXPECT_NO_THROW(parse_json(nested(64), "m"));
  EXPECT_EQ(user_error([] { parse_json(nested(66), "m"); }), "m: nested deeper than 64");
  EXPECT_EQ(user_error([] { parse_json(std::string(5000000, '['), "m"); }), "m: nested deeper than 64");
}

TEST(ParseJson, RefusesMoreValuesThanAnyFileNeeds) {
  std::string many = "[0";
  for (std::size_t i = 2; i < kMaxJsonValues; ++i) many += ",0";  // the list is one too
  EXPECT_NO_THROW(parse_json(many + "]", "m"));
  EXPECT_EQ(user_error([&] { parse_json(many + ",0]", "m"); }),
            "m: more than " + std::to_string(kMaxJsonValues) + " values");
}

TEST(ParseJson, AnIntegerAbove64BitsIsNotCutOff) {
  const Json document =
      parse_json(R"({"a": 18446744073709551615, "b": [9223372036854775808], "c": 9223372036854775807})", "m");
  EXPECT_EQ(user_error([&] { object_of(document).integer("a"); }),
            "config.json: key 'a' must be an integer of 64 bits");
  EXPECT_EQ(user_error([&] { object_of(document).integers("b"); }),
            "config.json: key 'b' must be a list of integers");
  EXPECT_EQ(object_of(document).integer("c"), std::numeric_limits<std::int64_t>::max());
}

TEST(ReadJsonFile, WantsAnObjectAtTheTop) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "ok.json", "{\"a\": 1}");
  EXPECT_EQ(read_json_file(folder / "ok.json")["a"], 1);
  write_file_atomically(folder / "list.json", "[1]");
  const std::string message = user_error([&] { read_json_file(folder / "list.json"); });
  EXPECT_NE(message.find("list.json: the top of the file must be a JSON object"), std::string::npos);
}

TEST(JsonObject, ReadsTypedValues) {
  const Json document = parse_json(
      R"({"i": -3, "n": 2.5, "b": true, "s": "x", "is": [1, 2], "ss": ["a"], "o": {"k": 1}, "null": null})",
      "m");
  const JsonObject object = object_of(document);
  EXPECT_EQ(object.integer("i"), -3);
  EXPECT_EQ(object.number("n"), 2.5);
  EXPECT_EQ(object.number("i"), -3.0);
  EXPECT_TRUE(object.boolean("b", false));
  EXPECT_EQ(object.string("s"), "x");
  EXPECT_EQ(object.integers("is"), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(object.strings("ss"), std::vector<std::string>{"a"});
  EXPECT_EQ(object.object("o").integer("k"), 1);
}

TEST(JsonObject, FallsBackForAMissingOrNullKeyOnly) {
  const Json document = parse_json(R"({"null": null, "s": "x"})", "m");
  const JsonObject object = object_of(document);
  EXPECT_FALSE(object.has("null"));
  EXPECT_EQ(object.integer("null", 5), 5);
  EXPECT_EQ(object.number("absent", 0.5), 0.5);
  EXPECT_EQ(object.string("absent", "y"), "y");
  EXPECT_TRUE(object.boolean("absent", true));
  EXPECT_EQ(user_error([&] { object.integer("s", 5); }), "config.json: key 's' must be an integer");
  EXPECT_EQ(user_error([&] { object.number("s", 5.0); }), "config.json: key 's' must be a number");
  EXPECT_EQ(user_error([&] { object.boolean("s", true); }), "config.json: key 's' must be true or false");
}

TEST(JsonObject, SaysWhichKeyIsWrongAndHow) {
  const Json document = parse_json(R"({"f": 1.5, "s": "x", "mixed": [1, "a"], "o": {"k": 1}})", "m");
  const JsonObject object = object_of(document);
  EXPECT_EQ(user_error([&] { object.integer("absent"); }), "config.json: key 'absent' is missing");
  EXPECT_EQ(user_error([&] { object.integer("f"); }), "config.json: key 'f' must be an integer");
  EXPECT_EQ(user_error([&] { object.number("s"); }), "config.json: key 's' must be a number");
  EXPECT_EQ(user_error([&] { object.string("f"); }), "config.json: key 'f' must be a string");
  EXPECT_EQ(user_error([&] { object.integers("mixed"); }),
            "config.json: key 'mixed' must be a list of integers");
  EXPECT_EQ(user_error([&] { object.integers("f"); }), "config.json: key 'f' must be a list of integers");
  EXPECT_EQ(user_error([&] { object.numbers("mixed"); }),
            "config.json: key 'mixed' must be an array of numbers");
  EXPECT_EQ(user_error([&] { object.strings("mixed"); }),
            "config.json: key 'mixed' must be a list of strings");
  EXPECT_EQ(user_error([&] { object.object("s"); }), "config.json: 's': must be a JSON object");
  EXPECT_EQ(user_error([&] { object.object("o").string("k"); }),
            "config.json: 'o': key 'k' must be a string");
}

}  // namespace
}  // namespace higgs::test
