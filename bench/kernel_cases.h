// What bench_kernels times: every kernel at the shapes it has in the released model's training.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

namespace higgs {

struct KernelRun {
  int num_sets;
  std::function<void(int)> run;  // on inputs 0 .. num_sets - 1
};

struct KernelCase {
  std::string kernel;  // the name of its entry in src/kernels/args.h, without _cuda
  std::string what;    // which use of it
  std::string shape;
  double bytes;                           // that have to be moved
  std::function<KernelRun(int)> prepare;  // makes so many sets of inputs
};

// `small`: of a size that a CPU takes milliseconds for.
std::vector<KernelCase> kernel_cases(at::Device device, at::ScalarType dtype, bool small);

// A copy from one place of the device's memory to another, there and back.
class CopyCase {
 public:
  CopyCase(at::Device device, std::int64_t num_bytes);
  double bytes() const;  // read and written
  void run(int i) const;

 private:
  at::Tensor a_, b_;
};

}  // namespace higgs
