// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The floor: what handing a frame to another process and back costs at least.
//
// For: the element `benchfloor` of this program, which passes frames on as they
// are, each after a number has gone to another process and come back: one
// atomic store and one futex wake in each direction, no spinning. Not for:
// anything that is useful.
// Thread: register_floor() in main(), after gst_init().
#pragma once

namespace bench {

void register_floor();

}  // namespace bench
