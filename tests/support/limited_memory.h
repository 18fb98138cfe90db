// LibTorch's memory on the CPU, made small: what doesn't fit fails as it does on a machine that has no more.
#pragma once

#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <atomic>
#include <limits>

namespace higgs::test {

class LimitedMemory : public c10::Allocator {
 public:
  LimitedMemory() : inner_(c10::GetCPUAllocator()) { c10::SetCPUAllocator(this, kPriority); }
  ~LimitedMemory() override { c10::SetCPUAllocator(inner_, kPriority); }
  LimitedMemory(const LimitedMemory&) = delete;
  LimitedMemory& operator=(const LimitedMemory&) = delete;

  std::size_t live() const { return live_; }
  std::size_t peak() const { return peak_; }
  void reset_peak() { peak_ = live_.load(); }
  void set_limit(std::size_t bytes) { limit_ = bytes; }
  std::size_t num_refused() const { return num_refused_; }

  c10::DataPtr allocate(std::size_t bytes) override {
    if (live_ + bytes > limit_) {
      ++num_refused_;
      return inner_->allocate(std::size_t{1} << 60);  // throws what LibTorch throws
    }
    auto* const block = new Block{inner_->allocate(bytes), bytes, this};
    live_ += bytes;
    peak_ = std::max(peak_.load(), live_.load());
    return {block->memory.get(), block, &release, c10::Device(c10::kCPU)};
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static constexpr std::uint8_t kPriority = 255;
  struct Block {
    c10::DataPtr memory;
    std::size_t bytes;
    LimitedMemory* owner;
  };
  static void release(void* context) {
    auto* const block = static_cast<Block*>(context);
    block->owner->live_ -= block->bytes;
    delete block;
  }

  c10::Allocator* inner_;
  std::atomic<std::size_t> live_{0}, peak_{0}, limit_{std::numeric_limits<std::size_t>::max()},
      num_refused_{0};
};

}  // namespace higgs::test
