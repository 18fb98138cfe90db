// What the library fault_shim and the program that loads it into another process share: settings by
// environment variables, and a page of memory that outlives the process.
//   FAULT_ROOT   absolute folder: calls on paths below it, and on files opened there, are counted from 1
//   FAULT_STATE  file of sizeof(FaultState) bytes, mapped; the page
//   FAULT_MODE   count  nothing happens
//                fail   call FAULT_AT fails with FAULT_ERRNO
//                full   from FAULT_AT on every call that takes space fails with FAULT_ERRNO; others go on
//                half   call FAULT_AT, where it is a write, writes half of its bytes and says so; the rest
//                fails kill   the process is killed before call FAULT_AT torn   the same, with half of the
//                bytes written where it is a write
//   FAULT_MARK   file: each write to it is a mark
//   FAULT_AFTER_MARKS  counting begins with this mark; default 0, at once
//   FAULT_LOG    file: a line "number TAB call TAB path" for each counted call, "mark" for each mark
#pragma once

#include <atomic>
#include <cstdint>

namespace higgs::test {

struct FaultState {
  std::atomic<std::int64_t> calls;
  std::atomic<std::int64_t> marks;
  std::atomic<std::int32_t>
      in_save;  // a checkpoint's temporary folder was made and isn't yet in place and synced
  std::atomic<std::int32_t> fired;  // FAULT_AT was reached
  char call[32];                    // and what it was
  char path[512];
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

}  // namespace higgs::test
