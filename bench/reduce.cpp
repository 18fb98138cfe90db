// How long the ranks take for the gradient of a step over Gloo, in host memory: mpirun -np 2 bench_reduce.
#include <ATen/ops/ones.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "higgs/dist/ranks.h"

using namespace higgs;

namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Best of five, in milliseconds.
double time_of(Collective& ranks, const std::function<void()>& work) {
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    ranks.barrier();
    const double begin = now_seconds();
    work();
    best = std::min(best, now_seconds() - begin);
  }
  return best * 1e3;
}

}  // namespace

int main() {
  return run_ranks(read_launch(), 60, [](Collective& ranks) {
    // Adapters of rank 16 at the released size: on attention alone, and on attention and both FFNs.
    for (const std::int64_t size : {std::int64_t{10}, std::int64_t{9'200'000}, std::int64_t{39'500'000}}) {
      at::Tensor gradient = at::ones({size});
      const double sum = time_of(ranks, [&] { ranks.sum(gradient); });
      if (ranks.rank() == 0) {
        std::printf("%2d ranks, sum of %9lld float32 (%6.1f MB): %8.2f ms\n", ranks.world_size(),
                    static_cast<long long>(size), static_cast<double>(size) * 4e-6, sum);
      }
    }
    const double word = time_of(ranks, [&] { ranks.any(false); });
    if (ranks.rank() == 0)
      std::printf("%2d ranks, a word that all agree on: %8.3f ms\n", ranks.world_size(), word);
    return 0;
  });
}
