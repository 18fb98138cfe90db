#include "higgs/train/checkpoint_saver.h"

#include <memory>

#include "higgs/base/error.h"
#include "higgs/base/log.h"

namespace higgs {

CheckpointSaver::CheckpointSaver(SaverOptions options) : options_(std::move(options)) {}

void CheckpointSaver::start(CheckpointImage image, std::function<void()> before_commit) {
  writing_ = {image.state().step, options_.root / checkpoint_name(image.state().step)};
  // std::function copies what it holds.
  auto shared = std::make_shared<const CheckpointImage>(std::move(image));
  thread_.start("saving " + std::to_string(writing_.step),
                [shared, sync = std::move(before_commit), folder = writing_.folder, step = writing_.step,
                 options = options_] {
                  shared->write(folder, sync);
                  try {  // the checkpoint is there, whatever becomes of the old ones
                    remove_old_checkpoints(options.root, step, options.keep_last, options.keep_best);
                  } catch (const std::exception& error) {
                    log::warn(std::string("old checkpoints stay: ") + error.what());
                  }
                });
}

std::optional<CheckpointEntry> CheckpointSaver::wait(const std::function<void()>& meanwhile) {
  if (!at_work()) return std::nullopt;
  try {
    thread_.wait(meanwhile);
    failed_ = false;
    return writing_;
  } catch (const std::exception& error) {
    failed_ = true;
    const std::string what = "the checkpoint of step " + std::to_string(writing_.step) +
                             " could not be written: " + error.what() + "; the ones before it stay";
    if (!options_.go_on_without) throw RunError(what);
    log::warn(what + ", and training goes on");
    return std::nullopt;
  }
}

}  // namespace higgs
