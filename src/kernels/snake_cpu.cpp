#include "args.h"
#include "cpu.h"

namespace higgs::kernels {
namespace {

// sin(x)^2. Its period is pi: x = n pi + r with |r| <= pi / 2, the remainder taken in double, then Taylor's
// polynomial of sin to r^13, whose next term is below 1e-9. Within 2 units in the last place as long as |x| <
// 2^31.
HIGGS_INLINE float sin_squared(float x) {
  const double turns = static_cast<double>(x) * 0.31830988618379067154;
  const double shifted = turns + 6755399441055744.0;  // 1.5 * 2^52: rounds to the nearest whole number
  const double n = shifted - 6755399441055744.0;
  const auto r = static_cast<float>((turns - n) * 3.14159265358979323846);
  const float z = r * r;
  float p = 1.6059043836821614599e-10f;
  p = p * z - 2.5052108385441718775e-8f;
  p = p * z + 2.7557319223985890653e-6f;
  p = p * z - 1.9841269841269841270e-4f;
  p = p * z + 8.3333333333333333333e-3f;
  p = p * z - 1.6666666666666666667e-1f;
  const float s = r + r * z * p;
  return s * s;
}

struct Snake {
  const SnakeArgs& a;

  HIGGS_INLINE void operator()(std::int64_t begin, std::int64_t end) const {
    for (std::int64_t row = begin; row < end; ++row) {
      const float alpha = a.alpha[row % a.num_channels], reciprocal = a.reciprocal[row % a.num_channels];
      const float* x = a.x + row * a.num_steps;
      float* y = a.y + row * a.num_steps;
#pragma omp simd
      for (std::int64_t i = 0; i < a.num_steps; ++i) y[i] = x[i] + reciprocal * sin_squared(alpha * x[i]);
    }
  }
};

}  // namespace

void snake_cpu(const SnakeArgs& a) {
  for_rows(a.num_rows, row_grain(a.num_steps), Snake{a});
}

}  // namespace higgs::kernels
