#include "higgs/data/base64.h"

#include <gtest/gtest.h>

#include "support/paths.h"

namespace higgs {
namespace {

// Vectors of RFC 4648, section 10.
TEST(Base64, DecodesTheStandardVectors) {
  EXPECT_EQ(decode_base64("", "m:1"), "");
  EXPECT_EQ(decode_base64("Zg==", "m:1"), "f");
  EXPECT_EQ(decode_base64("Zm8=", "m:1"), "fo");
  EXPECT_EQ(decode_base64("Zm9v", "m:1"), "foo");
  EXPECT_EQ(decode_base64("Zm9vYg==", "m:1"), "foob");
  EXPECT_EQ(decode_base64("Zm9vYmE=", "m:1"), "fooba");
  EXPECT_EQ(decode_base64("Zm9v\nYmFy", "m:1"), "foobar");
  EXPECT_EQ(decode_base64("+/+/", "m:1"), "\xFB\xFF\xBF");
}

TEST(Base64, EncodesTheStandardVectors) {
  EXPECT_EQ(encode_base64(""), "");
  EXPECT_EQ(encode_base64("f"), "Zg==");
  EXPECT_EQ(encode_base64("fo"), "Zm8=");
  EXPECT_EQ(encode_base64("foo"), "Zm9v");
  EXPECT_EQ(encode_base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(encode_base64("\xFB\xFF\xBF"), "+/+/");
}

TEST(Base64, RefusesWhatIsNotBase64NamingTheLine) {
  EXPECT_EQ(test::user_error([] { decode_base64("Zm9v!", "m.jsonl:7"); }),
            "m.jsonl:7: raw_audio is not valid base64");
  EXPECT_EQ(test::user_error([] { decode_base64("Zg", "m.jsonl:7"); }),
            "m.jsonl:7: raw_audio is not valid base64 (cut short?)");
  for (const char* text : {"Zg=", "Zg", "Z", "Zm9v!", "Zg==Zg==", "====", "Zm9v-_"}) {
    EXPECT_EQ(test::user_error([&] { decode_base64(text, "m.jsonl:7"); }).rfind("m.jsonl:7", 0), 0u) << text;
  }
}

}  // namespace
}  // namespace higgs
