// Each test begins with the same random numbers, run after run: LibTorch's generator is seeded by chance
// otherwise, and a bound that most draws keep fails for one in some hundred.
#include <ATen/Context.h>
#include <gtest/gtest.h>

namespace higgs::test {
namespace {

class Seeded : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo&) override { at::manual_seed(1); }
};

const bool is_registered = [] {
  ::testing::UnitTest::GetInstance()->listeners().Append(new Seeded);  // which owns it
  return true;
}();

}  // namespace
}  // namespace higgs::test
