// SLURM's notations for hosts and for tasks per node (man srun, "OUTPUT ENVIRONMENT VARIABLES").
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace higgs {

// "gpu[07-09,12],login1" -> "gpu07"; a list without brackets gives its first name.
std::string first_host(const std::string& node_list);

// "8(x2),4" -> {8, 8, 4}: tasks on each node. Nothing when the text is something else.
std::optional<std::vector<int>> tasks_per_node(const std::string& text);

}  // namespace higgs
