// One table per command says everything about its settings: name (flag and TOML key), default, help, range.
// Parsing,
// `--help`, `--config`, `--print_config` and the written config.toml all come from it.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "higgs/base/file.h"

namespace higgs {

struct Flag {
  std::string name;  // snake case; the flag is --name
  std::string help;
  // A list of texts is given by the flag again and again, in TOML as a list or, of one, as a string.
  std::variant<std::string*, std::int64_t*, double*, bool*, std::vector<std::string>*> target;
  std::vector<std::string> choices;  // of a string
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool required = false;
  bool given = false;            // by flag or file, not by default
  bool from_checkpoint = false;  // not given, it is as base or adapter allow; then giving the default matters
  std::string section{};         // the heading it stands under in help

  Flag& choose(std::vector<std::string> values);
  Flag& range(double lowest, double highest = std::numeric_limits<double>::infinity());
  Flag& require();
  Flag& follow_checkpoint();
  std::string value_text() const;  // as it would stand in TOML
};

class FlagTable {
 public:
  template <typename T>
  Flag& add(std::string name, T& target, std::string help) {
    flags_.push_back(Flag{std::move(name), std::move(help), &target, {}});
    flags_.back().section = section_;
    return flags_.back();
  }
  // Flags added from here on stand under this heading in help.
  void section(std::string heading) { section_ = std::move(heading); }

  std::vector<Flag>& flags() { return flags_; }
  const std::vector<Flag>& flags() const { return flags_; }
  bool was_given(const std::string& name) const;

  // Sets a value from its text; adds it to a list. UserError naming the flag (`where` in front) for a wrong
  // type, range or choice.
  void set(Flag& flag, const std::string& text, const std::string& where);
  // UserError, `what` in front, unless `value` is in the range of the flag `name`: for settings that come out
  // of a checkpoint's files.
  void check_value(const std::string& name, double value, const std::string& what) const;
  // Reads a TOML file; an unknown key is a UserError that suggests the nearest. Values given before stay.
  void read_config(const fs::path& path);
  // UserError naming the first required flag that wasn't given.
  void check_required() const;
  // Every setting; one that follows the checkpoint and wasn't given stands there as a comment, so that
  // reading it back doesn't give it.
  std::string to_toml() const;
  // The known name most like `name`, or "" when none is near.
  std::string nearest(const std::string& name) const;

 private:
  std::vector<Flag> flags_;
  std::string section_;
};

}  // namespace higgs
