#include "higgs/app/commands.h"

int main(int argc, char** argv) {
  return higgs::run_program(argc, argv);
}
