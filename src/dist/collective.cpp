#include "higgs/dist/collective.h"

#include <ATen/core/grad_mode.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "higgs/base/error.h"

namespace higgs {

struct Collective::Impl {
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group;
};

namespace {

std::string first_line(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

}  // namespace

Collective::Collective(const LaunchInfo& launch, std::int64_t timeout_seconds) : launch_(launch) {
  if (launch.world_size == 1) return;
  const auto timeout = std::chrono::seconds(timeout_seconds);
  try {
    c10d::TCPStoreOptions store_options;
    store_options.port = static_cast<std::uint16_t>(launch.master_port);
    store_options.isServer = launch.rank == 0 && !launch.external_store;
    store_options.numWorkers =
        launch.external_store ? std::nullopt : std::optional<std::size_t>(launch.world_size);
    store_options.timeout = timeout;
    auto tcp = c10::make_intrusive<c10d::TCPStore>(launch.master_address, store_options);
    auto store = c10::make_intrusive<c10d::PrefixStore>("higgs_train", tcp);
    auto options = c10d::ProcessGroupGloo::Options::create(timeout);
    options->devices.push_back(launch.single_node()
                                   ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                   : c10d::ProcessGroupGloo::createDefaultDevice());
    impl_ = std::make_unique<Impl>();
    impl_->group =
        c10::make_intrusive<c10d::ProcessGroupGloo>(store, launch.rank, launch.world_size, options);
  } catch (const std::exception& error) {
    throw RunError("rank " + std::to_string(launch.rank) + ": cannot join the other ranks at " +
                   launch.master_address + ":" + std::to_string(launch.master_port) + ": " +
                   first_line(error));
  }
}

Collective::~Collective() = default;

void Collective::sum(at::Tensor& tensor) {
  if (!impl_) return;
  const at::NoGradGuard no_grad;
  try {
    std::vector<at::Tensor> host = {tensor.to(at::kCPU).contiguous()};
    impl_->group->allreduce(host)->wait();
    tensor.copy_(host[0]);
  } catch (const std::exception& error) {
    throw RunError("rank " + std::to_string(rank()) + ": lost another rank: " + first_line(error));
  }
}

void Collective::barrier() {
  if (!impl_) return;
  try {
    impl_->group->barrier()->wait();
  } catch (const std::exception& error) {
    throw RunError("rank " + std::to_string(rank()) + ": lost another rank: " + first_line(error));
  }
}

}  // namespace higgs
