#include "higgs/base/error.h"

#include <gtest/gtest.h>

#include <tuple>

#include "higgs/base/ending.h"
#include "higgs/base/file.h"

namespace higgs::test {
namespace {

TEST(UserError, NamesOutOfFilesCannotWriteToTheTerminal) {
  EXPECT_STREQ(UserError("m.jsonl:1: 'a\nb\x1b[2Jc\x7f'").what(), "m.jsonl:1: 'a b?[2Jc?'");
  EXPECT_STREQ(UserError("caf\xc3\xa9").what(), "caf\xc3\xa9");
}

TEST(UserError, OfALongNameKeepsBeginningAndEnd) {
  const std::string message = UserError("m.jsonl:1: " + std::string(1 << 20, 'x') + ": do this").what();
  EXPECT_LE(message.size(), kMaxMessage);
  EXPECT_EQ(message.substr(0, 12), "m.jsonl:1: x");
  EXPECT_EQ(message.substr(message.size() - 9), ": do this");
  const std::string whole(kMaxMessage, 'y');
  EXPECT_EQ(UserError(whole).what(), whole);
}

TEST(Ending, APathThatCannotBeLookedAtIsTheUsersMistake) {
  try {
    std::ignore = fs::exists(fs::path(std::string(300, 'x')));
    FAIL();
  } catch (...) {
    const Ending ending = ending_of(std::current_exception());
    EXPECT_EQ(ending.exit_code, 2);
    EXPECT_EQ(ending.text, std::string(300, 'x') + ": File name too long");
  }
}

}  // namespace
}  // namespace higgs::test
