// What a pickle of weights may hold: the opcodes and globals that torch.save needs for tensors. Also the
// names of all opcodes, for messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "pickle.h"

namespace higgs::pickle {

enum class Opcode : std::uint8_t {
  kMark = '(',
  kStop = '.',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kEmptyDict = '}',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kEmptyList = ']',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kBinFloat = 'G',
  kProto = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
};

struct KnownGlobal {
  std::string_view module, name;
  Global global;
  DType dtype;  // of a storage type
};

// nullptr for every other global.
const KnownGlobal* find_global(std::string_view module, std::string_view name);

// "STACK_GLOBAL (0x93)"; for a byte that is no opcode "0x07".
std::string opcode_text(std::uint8_t byte);

}  // namespace higgs::pickle
