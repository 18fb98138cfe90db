#include "support/closeness.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>

namespace higgs::test {
namespace {

// Remembers each test's largest deviation, as a fraction of its tolerance, in the test's report.
void note(double deviation, const Tolerance& tolerance, const std::string& what) {
  const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info();
  if (test == nullptr) return;
  const std::string name = std::string(test->test_suite_name()) + "." + test->name();
  if (std::getenv("HIGGS_SHOW_DEVIATIONS") != nullptr) {
    std::printf("deviation %.1e of %.0e  %s: %s\n", deviation, tolerance.relative, name.c_str(),
                what.c_str());
  }
  static std::map<std::string, double> largest;
  const double share = deviation / tolerance.relative;
  double& known = largest.emplace(name, -1.0).first->second;
  if (share <= known) return;
  known = share;
  char text[32];
  std::snprintf(text, sizeof text, "%.2e", deviation);
  ::testing::Test::RecordProperty("largest_deviation", std::string(text) + " " + what);
}

}  // namespace

::testing::AssertionResult within(double deviation, const Tolerance& tolerance, const std::string& what) {
  note(deviation, tolerance, what);
  if (deviation <= tolerance.relative) return ::testing::AssertionSuccess();  // false for NaN
  return ::testing::AssertionFailure() << what << " is " << deviation << " from the reference, more than "
                                       << tolerance.relative << " (" << tolerance.reason << ")";
}

::testing::AssertionResult close(double ours, double theirs, const Tolerance& tolerance,
                                 const std::string& what) {
  return within(std::abs(ours - theirs) / std::max(std::abs(theirs), 1e-30), tolerance, what);
}

}  // namespace higgs::test
