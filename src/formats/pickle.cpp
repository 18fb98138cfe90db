#include "pickle.h"

#include "pickle_machine.h"
#include "pickle_opcodes.h"
#include "zip_archive.h"

namespace higgs::pickle {

Document Machine::run() {
  if (bytes_.size() > kMaxBytes) fail("larger than " + std::to_string(kMaxBytes >> 20) + " MiB");
  if (byte() != static_cast<std::uint8_t>(Opcode::kProto)) fail("does not begin as a pickle does");
  (void)byte();  // the protocol; which opcodes follow is what counts
  while (true) {
    start_ = at_;
    const std::uint8_t code = byte();
    if (code == static_cast<std::uint8_t>(Opcode::kStop)) break;
    step(code);
  }
  if (stack_.size() != 1 || !marks_.empty() || at_ != bytes_.size()) fail("does not end as a pickle does");
  document_.top = stack_.front();
  return std::move(document_);
}

// Opcodes that push a value which holds no others; false for the rest.
bool Machine::push_scalar(std::uint8_t code) {
  switch (static_cast<Opcode>(code)) {
    case Opcode::kNone:
      push({.kind = Kind::kNone});
      return true;
    case Opcode::kNewTrue:
    case Opcode::kNewFalse:
      push({.kind = Kind::kBool, .number = code == static_cast<std::uint8_t>(Opcode::kNewTrue)});
      return true;
    case Opcode::kBinInt:
      push_integer(static_cast<std::int32_t>(number(4)));
      return true;
    case Opcode::kBinInt1:
      push_integer(static_cast<std::int64_t>(number(1)));
      return true;
    case Opcode::kBinInt2:
      push_integer(static_cast<std::int64_t>(number(2)));
      return true;
    case Opcode::kLong1:
      push_long();
      return true;
    case Opcode::kBinFloat:
      take(8);
      push({.kind = Kind::kReal});
      return true;
    case Opcode::kBinUnicode:
      push({.kind = Kind::kText, .text = text(number(4))});
      return true;
    default:
      return false;
  }
}

void Machine::step(std::uint8_t code) {
  if (push_scalar(code)) return;
  switch (static_cast<Opcode>(code)) {
    case Opcode::kMark:
      return marks_.push_back(stack_.size());
    case Opcode::kEmptyTuple:
      return push({.kind = Kind::kTuple});
    case Opcode::kTuple1:
    case Opcode::kTuple2:
    case Opcode::kTuple3:
      return push(
          {.kind = Kind::kTuple, .items = pop(code - static_cast<std::uint8_t>(Opcode::kTuple1) + 1u)});
    case Opcode::kTuple:
      return push({.kind = Kind::kTuple, .items = pop_to_mark()});
    case Opcode::kEmptyList:
      return push({.kind = Kind::kList});
    case Opcode::kAppend:
      return extend(Kind::kList, pop(1));
    case Opcode::kAppends:
      return extend(Kind::kList, pop_to_mark());
    case Opcode::kEmptyDict:
      return push({.kind = Kind::kDict});
    case Opcode::kSetItem:
      return extend(Kind::kDict, pop(2));
    case Opcode::kSetItems:
      return extend(Kind::kDict, pop_to_mark());
    case Opcode::kBinGet:
      return get(number(1));
    case Opcode::kLongBinGet:
      return get(number(4));
    case Opcode::kBinPut:
      return put(number(1));
    case Opcode::kLongBinPut:
      return put(number(4));
    case Opcode::kGlobal:
      return push_global();
    case Opcode::kBinPersId:
      return push_storage();
    case Opcode::kReduce:
      return reduce();
    case Opcode::kBuild:
      return build();
    default:
      fail("opcode " + opcode_text(code) + " is not among those that weights need; refused");
  }
}

void Machine::push_long() {
  const std::size_t size = number(1);
  if (size > 8) fail("an integer of " + std::to_string(size) + " bytes");
  std::uint64_t integer = number(size);
  if (size > 0 && size < 8 && (integer >> (8 * size - 1)) != 0) integer |= ~std::uint64_t{0} << (8 * size);
  push_integer(static_cast<std::int64_t>(integer));
}

void Machine::push_global() {
  const std::string_view module = line(), name = line();
  if (const KnownGlobal* known = find_global(module, name); known != nullptr) {
    return push({.kind = Kind::kGlobal, .global = known->global, .dtype = known->dtype});
  }
  fail("global '" + zip::printable(module) + " " + zip::printable(name) +
       "' is not among those that weights need; refused");
}

// From ('storage', type, key, device, number of elements).
void Machine::push_storage() {
  const std::vector<Ref> parts = value(pop(), Kind::kTuple).items;
  if (parts.size() != 5 || value(parts[0], Kind::kText).text != "storage") bad();
  const Value& type = value(parts[1], Kind::kGlobal);
  const std::int64_t numel = value(parts[4], Kind::kInteger).number;
  if (type.global != Global::kStorageType || numel < 0) bad();
  document_.storages.push_back(
      {type.dtype, value(parts[2], Kind::kText).text, static_cast<std::uint64_t>(numel)});
  push({.kind = Kind::kStorage, .number = static_cast<std::int64_t>(document_.storages.size() - 1)});
}

// Adds to the list or dict below `items` on the stack.
void Machine::extend(Kind kind, const std::vector<Ref>& items) {
  if (kind == Kind::kDict && items.size() % 2 != 0) bad();
  std::vector<Ref>& target = top(kind).items;
  target.insert(target.end(), items.begin(), items.end());
}

void Machine::get(std::uint64_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) bad();
  stack_.push_back(found->second);
}

void Machine::put(std::uint64_t index) {
  if (stack_.size() <= floor()) bad();
  memo_[index] = stack_.back();
}

std::vector<std::int64_t> Machine::sizes(Ref ref) {
  const std::vector<Ref>& items = value(ref, Kind::kTuple).items;
  if (items.size() > kMaxRank) fail("a tensor of more than " + std::to_string(kMaxRank) + " dimensions");
  std::vector<std::int64_t> numbers;
  for (const Ref item : items) {
    numbers.push_back(value(item, Kind::kInteger).number);
    if (numbers.back() < 0) fail("a tensor with a negative size or stride");
  }
  return numbers;
}

// (storage, offset, shape, strides, requires_grad, hooks) and, of late, metadata.
Tensor Machine::rebuild_tensor(const std::vector<Ref>& arguments) {
  if (arguments.size() != 6 && arguments.size() != 7) bad();
  Tensor tensor;
  tensor.storage = document_.storages[static_cast<std::size_t>(value(arguments[0], Kind::kStorage).number)];
  const std::int64_t offset = value(arguments[1], Kind::kInteger).number;
  if (offset < 0) fail("a tensor with a negative offset");
  tensor.offset = static_cast<std::uint64_t>(offset);
  tensor.shape = sizes(arguments[2]);
  tensor.strides = sizes(arguments[3]);
  if (tensor.shape.size() != tensor.strides.size()) bad();
  return tensor;
}

void Machine::reduce() {
  const std::vector<Ref> arguments = value(pop(), Kind::kTuple).items;
  switch (value(pop(), Kind::kGlobal).global) {
    case Global::kOrderedDict:
      if (!arguments.empty()) bad();
      return push({.kind = Kind::kDict});
    case Global::kRebuildTensor:
      document_.tensors.push_back(rebuild_tensor(arguments));
      return push({.kind = Kind::kTensor, .number = static_cast<std::int64_t>(document_.tensors.size() - 1)});
    case Global::kRebuildParameter:  // (tensor, requires_grad, hooks)
      if (arguments.size() != 3) bad();
      value(arguments[0], Kind::kTensor);
      return stack_.push_back(arguments[0]);
    case Global::kStorageType:
      bad();
  }
}

// The attributes of an OrderedDict: PyTorch keeps module versions there (`_metadata`), which weights don't
// need.
void Machine::build() {
  value(pop(), Kind::kDict);
  top(Kind::kDict);
}

Document parse(std::span<const std::byte> bytes, const std::string& where) {
  return Machine(bytes, where).run();
}

}  // namespace higgs::pickle
