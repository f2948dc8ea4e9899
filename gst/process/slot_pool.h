// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How GStreamer's elements get at input slots: an allocator, and pools over it.
//
// Beyond the bound both give plain memory, so that a decoder that keeps many
// references is slowed down by copies (SlotStore::bring_in()) and does not
// fail. A pool forgets such a buffer when it comes back.
//
// A pool makes its buffers when they are asked for: the slots are there
// (SlotSupply::promise()), and a new pool for the same frames takes over those
// of the old one.
// Thread: thread-safe functions.
#pragma once

#include "process/slot_supply.h"

namespace dispatch::process {

ObjectPtr<GstAllocator> make_slot_allocator(std::shared_ptr<SlotSupply> supply);

// A pool for `caps` (transfer none), which knows VIDEO_META and
// VIDEO_ALIGNMENT if they are raw video, configured to use `allocator` (of
// make_slot_allocator(); transfer none) whatever else it is told.
ObjectPtr<GstBufferPool> make_slot_pool(GstAllocator* allocator, GstCaps* caps,
                                        unsigned bytes, unsigned min_buffers,
                                        const GstAllocationParams& params);

// A slot of `bytes` that lies unused in `pool` (nullable, of any kind; transfer
// none), whose upstream is not served meanwhile. Null: there is none.
MemoryPtr take_unused_slot(GstBufferPool* pool, std::uint64_t bytes);

// What a slot has to have for that.
std::uint64_t bytes_with(const GstAllocationParams& params,
                         std::uint64_t bytes);

}  // namespace dispatch::process
