#include "higgs/codec/alignment.h"

#include <ATen/ops/cdist.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "higgs/base/error.h"

namespace higgs {

double aligned_distance(const at::Tensor& a, const at::Tensor& b) {
  HIGGS_ASSERT(a.dim() == 2 && b.dim() == 2 && a.size(1) == b.size(1) && a.size(0) > 0 && b.size(0) > 0);
  constexpr std::int64_t kRows = 64;  // of distances at a time: clips of minutes have millions
  constexpr double kNone = std::numeric_limits<double>::infinity();
  const std::int64_t I = a.size(0), J = b.size(0);
  // Row i - 1 and row i of g, with a column before the first.
  std::vector<double> before(static_cast<std::size_t>(J + 1), kNone), row(before.size(), kNone);
  for (std::int64_t first = 0; first < I; first += kRows) {
    const std::int64_t rows = std::min(kRows, I - first);
    // Mode 2: differences are taken and squared, so that equal frames are at 0, not at what products leave.
    const at::Tensor distances = at::cdist(a.narrow(0, first, rows), b, 2.0, /*compute_mode=*/2).contiguous();
    for (std::int64_t i = 0; i < rows; ++i) {
      const float* d = distances.const_data_ptr<float>() + i * J;
      // Before the first row there is one way in.
      if (first + i == 0) before[0] = 0.0;
      for (std::size_t j = 1; j < row.size(); ++j) {
        const auto here = static_cast<double>(d[j - 1]);
        row[j] = std::min({before[j] + here, before[j - 1] + 2.0 * here, row[j - 1] + here});
      }
      before.swap(row);
      row[0] = kNone;
    }
  }
  return before.back() / static_cast<double>(I + J);
}

}  // namespace higgs
