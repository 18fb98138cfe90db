// The machine that a pickle is a program for: bytes, a stack with marks, a memo. It knows no way to run
// anything.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "higgs/base/error.h"
#include "pickle.h"

namespace higgs::pickle {

// Far above what weights need; they bound the memory that a hostile file can make us take.
inline constexpr std::size_t kMaxBytes = 64u << 20;
inline constexpr std::size_t kMaxValues = 2u << 20;
inline constexpr std::size_t kMaxRank = 16;

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  Document run();

 private:
  // ---- the bytes ----
  std::uint8_t byte() { return static_cast<std::uint8_t>(take(1)[0]); }
  std::span<const std::byte> take(std::size_t size) {
    if (size > bytes_.size() - at_) fail("ends in the middle");
    at_ += size;
    return bytes_.subspan(at_ - size, size);
  }
  std::uint64_t number(std::size_t size) {
    const auto bytes = take(size);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
    return value;
  }
  std::string_view text(std::size_t size) {
    const auto bytes = take(size);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  std::string_view line() {
    const std::size_t begin = at_;
    while (byte() != '\n') {
    }
    return {reinterpret_cast<const char*>(bytes_.data()) + begin, at_ - begin - 1};
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(where_ + ": byte " + std::to_string(start_) + ": " + what);
  }
  [[noreturn]] void bad() const { fail("not the pickle of a state dict (damaged?)"); }

  // ---- the stack ----
  Ref add(Value value) {
    if (document_.values.size() >= kMaxValues) fail("more than " + std::to_string(kMaxValues) + " values");
    document_.values.push_back(std::move(value));
    return static_cast<Ref>(document_.values.size() - 1);
  }
  void push(Value value) { stack_.push_back(add(std::move(value))); }
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Ref pop() {
    if (stack_.size() <= floor()) bad();
    const Ref ref = stack_.back();
    stack_.pop_back();
    return ref;
  }
  std::vector<Ref> pop(std::size_t count) {
    if (stack_.size() - floor() < count) bad();
    std::vector<Ref> items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }
  std::vector<Ref> pop_to_mark() {
    if (marks_.empty()) bad();
    std::vector<Ref> items = pop(stack_.size() - marks_.back());
    marks_.pop_back();
    return items;
  }
  Value& value(Ref ref) { return document_.values[ref]; }
  Value& value(Ref ref, Kind kind) {
    if (value(ref).kind != kind) bad();
    return value(ref);
  }
  Value& top(Kind kind) {
    if (stack_.size() <= floor()) bad();
    return value(stack_.back(), kind);
  }

  bool push_scalar(std::uint8_t code);
  void step(std::uint8_t code);
  void push_integer(std::int64_t integer) { push({.kind = Kind::kInteger, .number = integer}); }
  void push_long();
  void push_global();
  void push_storage();
  void extend(Kind kind, const std::vector<Ref>& items);
  void get(std::uint64_t index);
  void put(std::uint64_t index);
  void reduce();
  void build();
  Tensor rebuild_tensor(const std::vector<Ref>& arguments);
  std::vector<std::int64_t> sizes(Ref ref);

  std::span<const std::byte> bytes_;
  const std::string& where_;
  std::size_t at_ = 0, start_ = 0;
  Document document_;
  std::vector<Ref> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, Ref> memo_;
};

}  // namespace higgs::pickle
