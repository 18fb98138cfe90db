#include "higgs/dist/collective.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "higgs/dist/nccl.h"
#include "higgs/dist/watch.h"

namespace higgs {
namespace {

// A collective never gives up by itself: the watch decides who is late, since a rank that others wait for may
// be hard at work.
constexpr std::chrono::hours kForever(24 * 365);

std::string first_line(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

std::string random_key() {
  std::random_device device;
  std::string key;
  for (int i = 0; i < 4; ++i) key += std::to_string(device()) + "-";
  return key;
}

// The address of this machine's that reaches `host`; "" when there is none.
std::string address_towards(const std::string& host) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_DGRAM;
  if (::getaddrinfo(host.c_str(), "9", &hints, &found) != 0) return "";
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> holder(found, ::freeaddrinfo);
  const int socket = ::socket(found->ai_family, found->ai_socktype, 0);
  if (socket < 0) return "";
  sockaddr_in own{};
  socklen_t size = sizeof own;
  char text[INET_ADDRSTRLEN] = "";
  // Connecting a datagram socket sends nothing; it only chooses the way.
  if (::connect(socket, found->ai_addr, found->ai_addrlen) == 0 &&
      ::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) == 0) {
    ::inet_ntop(AF_INET, &own.sin_addr, text, sizeof text);
  }
  ::close(socket);
  return text;
}

std::shared_ptr<::gloo::transport::Device> gloo_device(const LaunchInfo& launch) {
  using Gloo = c10d::ProcessGroupGloo;
  if (const char* interface = std::getenv("GLOO_SOCKET_IFNAME"))
    return Gloo::createDeviceForInterface(interface);
  const std::string own = launch.single_node() ? "127.0.0.1" : address_towards(launch.master_address);
  // Rank 0 may know itself by a loopback name, which would be no use to other machines.
  if (own.empty() || (is_loopback(own) && !launch.single_node() && !is_loopback(launch.master_address))) {
    return Gloo::createDefaultDevice();
  }
  return Gloo::createDeviceForHostname(own);
}

}  // namespace

struct Collective::Impl {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
  std::unique_ptr<Watch> watch;
  std::unique_ptr<Nccl> nccl;

  void join_store(const LaunchInfo& launch, std::int64_t seconds);
  void join_watch(const LaunchInfo& launch, std::int64_t seconds);
  void join_gloo(const LaunchInfo& launch);
  // Waits for a key that rank 0 sets when all goes well. RunError when it is gone or takes too long.
  std::string get(const std::string& key) const {
    const std::vector<std::uint8_t> bytes = store->get(key);
    return std::string(bytes.begin(), bytes.end());
  }
  void set(const std::string& key, const std::string& value) {
    store->set(key, std::vector<std::uint8_t>(value.begin(), value.end()));
  }
};

void Collective::Impl::join_store(const LaunchInfo& launch, std::int64_t seconds) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(launch.master_port);
  options.isServer = launch.rank == 0 && !launch.external_store;
  options.waitWorkers = false;  // the watch says who is missing
  options.timeout = std::chrono::seconds(seconds);
  try {
    auto tcp = c10::make_intrusive<c10d::TCPStore>(launch.master_address, options);
    // Another job that met at the same port by accident has other keys.
    store = c10::make_intrusive<c10d::PrefixStore>("higgs_train " + launch.job, tcp);
  } catch (const std::exception& error) {
    const std::string text = error.what();
    if (text.find("EADDRINUSE") != std::string::npos || text.find("in use") != std::string::npos) {
      throw RunError("port " + std::to_string(launch.master_port) +
                     " is taken by another process (another job?); give a free one with MASTER_PORT");
    }
    throw RunError(first_line(error));
  }
}

void Collective::Impl::join_watch(const LaunchInfo& launch, std::int64_t seconds) {
  WatchOptions options;
  options.rank = launch.rank;
  options.world_size = launch.world_size;
  options.host = host_name();
  options.single_node = launch.single_node();
  options.timeout = static_cast<double>(seconds);
  if (launch.rank == 0) {
    options.key = random_key();
    watch = std::make_unique<Watch>(options);
    set("watch", options.host + " " + std::to_string(watch->port()) + " " + options.key);
    watch->wait_for_all(static_cast<double>(seconds));
    return;
  }
  std::istringstream words(get("watch"));
  int port = 0;
  words >> options.host_of_zero >> port >> options.key;
  // The lowest rank that is left on a machine speaks for it.
  options.speaks_for_node =
      launch.local_rank == 0 || (launch.local_rank == 1 && options.host_of_zero == options.host);
  // On one machine rank 0 listens on the loopback, whatever name the machine has.
  const std::string address = launch.single_node() ? "127.0.0.1" : launch.master_address;
  watch = std::make_unique<Watch>(options, address, port, static_cast<double>(seconds));
}

void Collective::Impl::join_gloo(const LaunchInfo& launch) {
  auto options = c10d::ProcessGroupGloo::Options::create(kForever);
  options->devices.push_back(gloo_device(launch));
  gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(store, launch.rank, launch.world_size, options);
}

Collective::Collective(const LaunchInfo& launch, std::int64_t timeout_seconds) : launch_(launch) {
  if (launch.world_size == 1) return;
  impl_ = std::make_unique<Impl>();
  try {
    impl_->join_store(launch, timeout_seconds);
    impl_->join_watch(launch, timeout_seconds);
    impl_->join_gloo(launch);
  } catch (const std::exception& error) {
    const std::string text = "cannot join the other ranks at " + launch.master_address + ":" +
                             std::to_string(launch.master_port) + ": " + first_line(error);
    if (impl_->watch) impl_->watch->fail(1, text);
    throw RunError("rank " + std::to_string(launch.rank) + " (" + host_name() + "): " + text);
  }
}

Collective::~Collective() = default;

template <typename Work>
void Collective::together(const char* what, const Work& work) {
  if (!impl_) return;
  const at::NoGradGuard no_grad;
  impl_->watch->waiting(true);
  try {
    work();
  } catch (const std::exception& error) {
    throw LostRank(std::string("lost another rank in ") + what + ": " + first_line(error));
  }
  impl_->watch->waiting(false);
}

void Collective::use_device(at::Device device) {
  if (!impl_ || !device.is_cuda()) return;
  std::string id = rank() == 0 ? Nccl::make_id() : "";
  id = broadcast(id);
  // Not together(): what NCCL says here (two ranks on one GPU, say) is a cause, not another rank's end.
  impl_->watch->waiting(true);
  impl_->nccl = std::make_unique<Nccl>(id, rank(), world_size(), device);
  at::Tensor one = at::zeros({1}, at::TensorOptions(at::kFloat).device(device)).add_(1.0);
  impl_->nccl->sum(one);
  HIGGS_ASSERT(one.item<float>() == static_cast<float>(world_size()));
  impl_->watch->waiting(false);
}

void Collective::sum(at::Tensor& tensor) {
  if (impl_ && tensor.is_cuda()) {
    HIGGS_ASSERT(impl_->nccl != nullptr);
    const at::NoGradGuard no_grad;
    impl_->watch->waiting(true);  // until the next at(): the host doesn't see the sum's end
    impl_->nccl->sum(tensor);
    return;
  }
  together("a sum", [&] {
    std::vector<at::Tensor> host = {tensor.contiguous()};
    impl_->gloo->allreduce(host)->wait();
    if (!host[0].is_same(tensor)) tensor.copy_(host[0]);
  });
}

void Collective::broadcast(at::Tensor& tensor) {
  together("a broadcast", [&] {
    std::vector<at::Tensor> host = {tensor.to(at::kCPU).contiguous()};
    impl_->gloo->broadcast(host)->wait();
    if (!host[0].is_same(tensor)) tensor.copy_(host[0]);
  });
}

std::string Collective::broadcast(std::string text) {
  if (!impl_) return text;
  at::Tensor size = at::zeros({1}, at::kLong).add_(static_cast<std::int64_t>(text.size()));
  broadcast(size);
  text.resize(static_cast<std::size_t>(size.item<std::int64_t>()));
  if (text.empty()) return text;
  at::Tensor bytes = at::empty({static_cast<std::int64_t>(text.size())}, at::kByte);
  text.copy(static_cast<char*>(bytes.mutable_data_ptr()), text.size());
  broadcast(bytes);
  text.assign(static_cast<const char*>(bytes.const_data_ptr()), text.size());
  return text;
}

std::optional<int> Collective::first_unlike_zero(const std::string& hash) {
  if (!impl_) return std::nullopt;
  at::Tensor words = at::zeros({world_size()}, at::kLong);
  auto* values = words.mutable_data_ptr<std::int64_t>();
  values[rank()] = std::stoll(hash.substr(0, 15), nullptr, 16);
  sum(words);
  for (int i = 1; i < world_size(); ++i) {
    if (values[i] != values[0]) return i;
  }
  return std::nullopt;
}

void Collective::barrier() {
  together("a barrier", [&] { impl_->gloo->barrier()->wait(); });
}

bool Collective::any(bool flag) {
  at::Tensor votes = at::zeros({1}, at::kLong).add_(flag ? 1 : 0);
  sum(votes);
  return votes.item<std::int64_t>() > 0;
}

std::int64_t Collective::take_next(const std::string& counter) {
  if (!impl_) return alone_[counter]++;
  try {
    return impl_->store->add(counter, 1) - 1;
  } catch (const std::exception& error) {
    throw LostRank("lost rank 0: " + first_line(error));
  }
}

void Collective::publish(const std::string& key, const std::string& text) {
  if (!impl_) return;
  try {
    impl_->store->set(key, std::vector<std::uint8_t>(text.begin(), text.end()));
  } catch (const std::exception& error) {
    throw LostRank("lost rank 0: " + first_line(error));
  }
}

std::string Collective::published(const std::string& key) {
  HIGGS_ASSERT(impl_ != nullptr);
  try {
    const std::vector<std::uint8_t> bytes = impl_->store->get(key);
    return {bytes.begin(), bytes.end()};
  } catch (const std::exception& error) {
    throw LostRank("lost rank 0: " + first_line(error));
  }
}

void Collective::at(std::int64_t step, const char* phase) {
  if (impl_) impl_->watch->at(step, phase);
}

void Collective::progress() {
  if (impl_) impl_->watch->progress();
}

void Collective::fail(int exit_code, const std::string& text, bool secondary) {
  if (impl_) impl_->watch->fail(exit_code, text, secondary);
  throw RunError(text);
}

}  // namespace higgs
