// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/slot_supply.h"

#include <vector>

namespace dispatch::process {

std::shared_ptr<SlotSupply> SlotSupply::create() {
  auto supply = std::make_shared<SlotSupply>();
  supply->maker_.set_source_of_copies(supply);
  return supply;
}

os::Pages SlotSupply::pages() const {
  const std::lock_guard lock(mutex_);
  return pages_;
}

void SlotSupply::set_pages(os::Pages pages) {
  const std::lock_guard lock(mutex_);
  pages_ = pages;
}

void SlotSupply::set_input_class(core::protocol::SlotClass slot_class) {
  {
    const std::lock_guard lock(mutex_);
    if (input_class_ == slot_class) return;
    input_class_ = slot_class;
  }
  drop_unused();
}

void SlotSupply::note_size(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  frame_bytes_ = os::whole_pages(with_spare(bytes), pages_);
}

MemoryPtr SlotSupply::take(std::uint64_t bytes) {
  note_size(bytes);
  const Recycler offered = this->offered();
  if (MemoryPtr memory = offered->take(bytes)) return memory;
  if (!may_grow(*offered, bytes)) return nullptr;
  auto made = make_for(*offered, bytes);
  return made ? made.take() : nullptr;
}

bool SlotSupply::may_grow(const SlotRecycler& offered,
                          std::uint64_t bytes) const {
  const unsigned there = offered.count(bytes);
  const std::lock_guard lock(mutex_);
  return there < promised_ ||
         budget_.leaves_half(os::whole_pages(with_spare(bytes), pages_));
}

os::Result<bool> SlotSupply::promise(std::uint64_t bytes, unsigned count) {
  const std::uint64_t whole = os::whole_pages(with_spare(bytes), pages());
  if (const std::uint64_t least = budget_.least_with(whole * count);
      budget_.max_bytes() != 0 && least > budget_.max_bytes())
    return too_little(budget_, least);
  if (budget_.exceeds_files(count)) return too_many_files();
  const Recycler offered = this->offered();
  offered->drop_smaller(bytes);
  std::vector<MemoryPtr> fresh;
  while (offered->count(bytes) + fresh.size() < count &&
         budget_.has_room_for(whole)) {
    auto memory = make(bytes);
    if (!memory) return memory.error();
    fresh.push_back(memory.take());
  }
  for (MemoryPtr& memory : fresh) offered->keep(std::move(memory));
  const std::lock_guard lock(mutex_);
  promised_ = count;
  return true;
}

os::Result<MemoryPtr> SlotSupply::take_for_copy(std::uint64_t bytes) {
  note_size(bytes);
  while (true) {
    const Recycler copies = this->copies();
    const Recycler offered = this->offered();
    const unsigned seen = copies->returns();
    if (MemoryPtr memory = copies->take(bytes)) return {std::move(memory)};
    if (MemoryPtr memory = offered->withdraw(bytes))
      return copies->give_out(std::move(memory));
    auto made = make_for(*copies, bytes);
    if (made) return made;
    // What upstream has may lie in a pool of its own for ever.
    if (!copies->wait(seen) && copies == this->copies())
      return is_interrupted() ? os::Error() : made.error();
  }
}

void SlotSupply::wait_for_return(core::Duration longest) {
  offered()->wait_for_return(longest);
}

bool SlotSupply::leaves_room_for_copies(std::uint64_t bytes) const {
  const std::lock_guard lock(mutex_);
  return copies_->count(0) != 0 ||
         budget_.has_room_for(bytes + frame_bytes_, 2);
}

bool SlotSupply::is_short(unsigned buffers) const {
  const std::lock_guard lock(mutex_);
  const unsigned slots = 2 * buffers;
  return offered_->waiting() + copies_->waiting() < slots &&
         !budget_.has_room_for(slots * frame_bytes_, slots);
}

bool SlotSupply::is_interrupted() const {
  const std::lock_guard lock(mutex_);
  return is_interrupted_;
}

void SlotSupply::interrupt(bool on) {
  const std::lock_guard lock(mutex_);
  is_interrupted_ = on;
  copies_->interrupt(on);
}

// Who waits for a slot of the old ones looks for a new one.
void SlotSupply::drop_unused() {
  auto offered = std::make_shared<SlotRecycler>();
  auto copies = std::make_shared<SlotRecycler>();
  const std::lock_guard lock(mutex_);
  copies_->interrupt(true);
  offered_.swap(offered);
  copies_.swap(copies);
  copies_->interrupt(is_interrupted_);
}

SlotSupply::Recycler SlotSupply::offered() const {
  const std::lock_guard lock(mutex_);
  return offered_;
}

SlotSupply::Recycler SlotSupply::copies() const {
  const std::lock_guard lock(mutex_);
  return copies_;
}

os::Result<MemoryPtr> SlotSupply::make(std::uint64_t bytes) {
  core::protocol::SlotClass slot_class;
  os::Pages pages;
  {
    const std::lock_guard lock(mutex_);
    slot_class = input_class_;
    pages = pages_;
  }
  return maker_.make(bytes, slot_class, pages);
}

// What waits in `recycler` is too small. One such slot is traded in for each
// larger one, so that frames of changing sizes do not heap up slots; all of
// them, if the bound asks for it.
os::Result<MemoryPtr> SlotSupply::make_for(SlotRecycler& recycler,
                                           std::uint64_t bytes) {
  bool may_try_again = recycler.drop_smallest();
  while (true) {
    auto memory = make(bytes);
    if (memory) return recycler.give_out(memory.take());
    if (!may_try_again) return memory;
    may_try_again = recycler.drop_smallest();
  }
}

}  // namespace dispatch::process
