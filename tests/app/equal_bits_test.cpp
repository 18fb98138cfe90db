// What makes two runs of the program give the same bits.
#include "app_test.h"

namespace higgs::test {
namespace {

class EqualBits : public AppTest {};

// MKL says of each call in which mode it computed it.
TEST_F(EqualBits, MklIsAskedForThem) {
  const auto said = [&](Environment variables) {
    variables["MKL_VERBOSE"] = "1";
    const ProcessResult result = run_process(
        Arguments{program(), "evaluate", "--manifest", golden("e2e/manifest.jsonl")} + golden_base(),
        variables);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  };
  Environment variables = environment();
  const std::string out = said(variables);
  if (out.find("MKL_VERBOSE") == std::string::npos) GTEST_SKIP() << "this LibTorch computes without MKL";
  EXPECT_NE(out.find("CNR:AUTO"), std::string::npos);
  EXPECT_EQ(out.find("CNR:OFF"), std::string::npos);
  variables["MKL_CBWR"] = "COMPATIBLE";  // the user's word goes first
  EXPECT_NE(said(variables).find("CNR:COMPATIBLE"), std::string::npos);
}

}  // namespace
}  // namespace higgs::test
