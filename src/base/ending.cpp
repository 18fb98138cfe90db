#include "higgs/base/ending.h"

#include <new>

#include "higgs/base/error.h"
#include "higgs/base/file.h"

namespace higgs {
namespace {

// LibTorch's messages carry a stack trace behind the first line.
std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

// LibTorch reports memory that it can't get with errors of its own.
bool says_out_of_memory(const std::string& text) {
  return text.find("out of memory") != std::string::npos ||
         text.find("can't allocate memory") != std::string::npos ||
         text.find("not enough memory") != std::string::npos;
}

}  // namespace

Ending ending_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const UserError& e) {
    return {2, e.what()};
  } catch (const RunError& e) {
    return {1, e.what()};
  } catch (const Stopped& e) {
    return {143, e.what()};
  } catch (const fs::filesystem_error& e) {  // a path that can't be looked at: too long, no right to
    return {2, e.path1().string() + ": " + e.code().message()};
  } catch (const std::bad_alloc&) {
    return {1, "out of memory; try a smaller --batch_size or --tokens_per_batch"};
  } catch (const std::exception& e) {
    const std::string text = first_line(e.what());
    return {1, says_out_of_memory(text)
                   ? "out of memory; try a smaller --batch_size or --tokens_per_batch (" + text + ")"
                   : text};
  } catch (...) {
    return {1, "unknown error"};
  }
}

bool is_out_of_memory(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    return true;
  } catch (const OneLineError&) {  // this program's own
    return false;
  } catch (const std::exception& e) {
    return says_out_of_memory(first_line(e.what()));
  } catch (...) {
    return false;
  }
}

const char* ending_word(int exit_code) {
  return exit_code == 2 ? "error" : exit_code == 143 ? "stopped" : "failed";
}

}  // namespace higgs
