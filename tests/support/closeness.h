// How far a number may be from the reference's, why, and how far it is: the tolerances of the comparisons
// with goldens. HIGGS_SHOW_DEVIATIONS=1 prints every comparison; each test's largest is in its XML report.
#pragma once

#include <gtest/gtest.h>

#include <string>

namespace higgs::test {

// Largest absolute difference over the reference's largest absolute value.
struct Tolerance {
  double relative;
  const char* reason;
};

// The issue of every comparison in float32 is the order of sums: this program's attention and matmuls run on
// packed rows, the references' on padded batches. Each bound is three times the largest deviation measured or
// more (docs/fidelity.md), for other processors' kernels.
inline constexpr Tolerance kForwardTolerance{5e-6,
                                             "float32: the same sums in another order; 1.6e-6 measured"};
inline constexpr Tolerance kGradientTolerance{
    2e-5, "float32: the same sums in another order, forward and backward; 4.0e-6 measured"};
inline constexpr Tolerance kLossTolerance{
    3e-6, "float32: means of cross-entropies, and norms of gradients; 9.0e-7 measured"};

// Passes when `deviation` is not above the tolerance; notes it either way.
::testing::AssertionResult within(double deviation, const Tolerance& tolerance, const std::string& what);

// Two numbers, relative to the second.
::testing::AssertionResult close(double ours, double theirs, const Tolerance& tolerance,
                                 const std::string& what);

}  // namespace higgs::test
