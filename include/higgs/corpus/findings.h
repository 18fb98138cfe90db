// What was found that can't be used: mistakes, which someone should mend, and clips that fit nowhere.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>

#include "higgs/base/error.h"

namespace higgs {

class Findings {
 public:
  enum class Kind { kMistake, kLeftOut };
  // Told each line as it is found, the first kMostLines of either kind.
  using Say = std::function<void(Kind kind, const std::string& line)>;
  static constexpr std::size_t kMostLines = 50;

  explicit Findings(Say say) : say_(std::move(say)) {}

  // A mistake: "file:line: what is wrong, what to do".
  void mistake(const UserError& error);
  void mistake(const std::string& line) { mistake(UserError(line)); }
  // No mistake, but not to be used, for a reason that the summary counts ("too short"). A `line` is said.
  void leave_out(const std::string& reason, const std::string& line = "");

  std::size_t num_mistakes() const { return num_mistakes_; }
  const std::map<std::string, std::size_t>& left_out() const { return left_out_; }  // by reason

 private:
  Say say_;
  std::size_t num_mistakes_ = 0, num_lines_left_out_ = 0;
  std::map<std::string, std::size_t> left_out_;
};

}  // namespace higgs
