// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/worker_program.h"

int main(int argc, char** argv) {
  return dispatch::process::run_worker_program(argc, argv);
}
