// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Slots on the worker's side, against those of the dispatcher's, in one
// process: what the one hands over the other maps, writes and gives back.
#include "process/worker_slots.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cstring>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <gst/video/video.h>

#include "core/handshake.h"
#include "element_harness.h"
#include "os/futex.h"

namespace dispatch::test {
namespace {

using core::SlotName;
using core::protocol::CommandRegion;
using core::protocol::MemoryRecord;
using core::protocol::ReportRegion;
using core::protocol::SlotClass;
using process::MemoryPtr;
using process::SlotStore;
using process::WorkerSlots;
using stage::ObjectPtr;

constexpr std::uint64_t kPage = 4096;
// A frame that takes so many pages.
constexpr std::uint64_t pages(std::uint64_t count) {
  return count * kPage - process::kSpareBytes;
}

// What the dispatcher does with the slots of one worker.
class OtherSide {
 public:
  // False: asked for a slot, it has none.
  bool gives_slots = true;
  std::vector<std::uint64_t> requests;  // bytes
  std::vector<SlotName> given_back;

  // A frame in an input slot, which the worker knows from now on.
  SlotName send_input(GstMemory* memory, SlotClass slot_class) {
    const SlotName name{.index = next_index_++, .generation = 1};
    EXPECT_STREQ(
        worker.add(name, slot_class, process::shared_file_of(memory)->bytes,
                   os::UniqueFd::duplicate(gst_fd_memory_get_fd(memory))),
        nullptr);
    return name;
  }

  SlotName send_result_slot(std::uint64_t bytes) {
    const SlotName name{.index = next_index_++, .generation = 1};
    os::Error why;
    auto slot = store.make_result_slot(
        0, bytes, [] {}, why);
    EXPECT_TRUE(slot) << why.text();
    EXPECT_STREQ(worker.add(name, SlotClass::kResult, slot->bytes(),
                            os::UniqueFd::duplicate(slot->fd())),
                 nullptr);
    results_[name.index] = std::move(slot);
    return name;
  }

  // The memory of a result, as downstream gets it.
  MemoryPtr take_result(const MemoryRecord& record) {
    return results_.at(record.slot)->hand_out(record.offset, record.bytes);
  }

  void release(std::uint32_t index) {
    const std::uint32_t count = commands->released.load();
    commands->released_slots[count % core::protocol::kMaxResultSlots] = index;
    if (core::publish(commands->released, count + 1,
                      reports->worker_awaits_slot)) {
      ++wake_ups;
      os::futex_wake(commands->released);
    }
  }

  bool worker_sleeps() const { return reports->worker_awaits_slot.load() != 0; }

  unsigned wake_ups = 0;
  SlotStore store;
  const std::unique_ptr<CommandRegion> commands =
      std::make_unique<CommandRegion>();
  const std::unique_ptr<ReportRegion> reports =
      std::make_unique<ReportRegion>();

 private:
  bool on_request(std::uint64_t bytes, const std::vector<SlotName>& unused) {
    const std::lock_guard lock(mutex_);
    requests.push_back(bytes);
    for (const SlotName& name : unused) {
      given_back.push_back(name);
      results_.erase(name.index);
    }
    if (!gives_slots) return false;
    send_result_slot(bytes);
    return true;
  }

  std::mutex mutex_;  // one request at a time
  std::uint32_t next_index_ = 0;
  std::map<std::uint32_t, std::unique_ptr<SlotStore::ResultSlot>> results_;

 public:
  WorkerSlots worker{
      *commands, *reports,
      [this](std::uint64_t bytes, const std::vector<SlotName>& unused) {
        return on_request(bytes, unused);
      }};
};

MemoryPtr alloc(WorkerSlots& worker, std::uint64_t bytes,
                GstAllocationParams params = {}) {
  return MemoryPtr(gst_allocator_alloc(worker.allocator(), bytes, &params));
}

BufferPtr buffer_of(MemoryPtr memory) {
  BufferPtr buffer(gst_buffer_new());
  gst_buffer_append_memory(buffer.get(), memory.release());
  return buffer;
}

// All memories of `buffer`, in one result slot.
std::vector<MemoryPtr> copy(WorkerSlots& worker, GstBuffer* buffer) {
  std::vector<GstMemory*> memories;
  for (guint i = 0; i < gst_buffer_n_memory(buffer); ++i)
    memories.push_back(gst_buffer_peek_memory(buffer, i));
  return worker.copy(memories);
}

MemoryPtr input_frame(SlotStore& store, std::uint64_t bytes,
                      std::uint8_t value) {
  MemoryPtr memory(gst_allocator_alloc(store.allocator(), bytes, nullptr));
  GstMapInfo map;
  EXPECT_TRUE(gst_memory_map(memory.get(), &map, GST_MAP_WRITE));
  std::memset(map.data, value, map.size);
  gst_memory_unmap(memory.get(), &map);
  return memory;
}

std::uint8_t byte_at(GstMemory* memory, gsize place) {
  GstMapInfo map;
  EXPECT_TRUE(gst_memory_map(memory, &map, GST_MAP_READ));
  EXPECT_LT(place, map.size);
  const std::uint8_t value = map.data[place];
  gst_memory_unmap(memory, &map);
  return value;
}

bool write(GstMemory* memory, std::uint8_t value) {
  GstMapInfo map;
  if (!gst_memory_map(memory, &map, GST_MAP_WRITE)) return false;
  std::memset(map.data, value, map.size);
  gst_memory_unmap(memory, &map);
  return true;
}

MemoryRecord record_of(SlotName slot, std::uint64_t offset, std::uint64_t bytes,
                       std::uint32_t flags = 0) {
  return {.slot = slot.index,
          .generation = slot.generation,
          .offset = offset,
          .bytes = bytes,
          .flags = flags};
}

os::UniqueFd memfd(std::uint64_t bytes, bool is_sealed = true) {
  os::UniqueFd fd = os::create_memfd("test", bytes).take();
  EXPECT_TRUE(!is_sealed || os::seal(fd.get(), os::Seal::kSize));
  return fd;
}

// Allocates on a thread of its own and returns once the worker sleeps.
std::future<MemoryPtr> alloc_and_sleep(OtherSide& dispatcher,
                                       std::uint64_t bytes) {
  auto memory = std::async(std::launch::async, [&dispatcher, bytes] {
    return alloc(dispatcher.worker, bytes);
  });
  while (!dispatcher.worker_sleeps()) std::this_thread::yield();
  return memory;
}

// A result that has been reported.
struct Reported {
  MemoryRecord record;
  GstBuffer* buffer = nullptr;  // borrowed
};

Reported report(OtherSide& dispatcher, std::uint64_t bytes) {
  MemoryPtr memory = alloc(dispatcher.worker, bytes);
  Reported result{.record = *dispatcher.worker.name_of(memory.get())};
  BufferPtr buffer = buffer_of(std::move(memory));
  result.buffer = buffer.get();
  dispatcher.worker.keep_until_released(std::move(buffer));
  return result;
}

// ---- Slots come and go -----------------------------------------------------

TEST(WorkerSlots, ShowsTheFrameOfTheDispatcher) {
  OtherSide dispatcher;
  const MemoryPtr frame = input_frame(dispatcher.store, 5000, 7);
  const SlotName slot = dispatcher.send_input(frame.get(), SlotClass::kInput);
  const MemoryPtr sut = dispatcher.worker.wrap(record_of(slot, 100, 4000));
  ASSERT_TRUE(sut);
  EXPECT_EQ(sut->size, 4000U);
  EXPECT_EQ(byte_at(sut.get(), 3999), 7);
}

TEST(WorkerSlots, KnowsTheOneItIsTold) {
  OtherSide dispatcher;
  const MemoryPtr frame = input_frame(dispatcher.store, 5000, 7);
  const SlotName slot = dispatcher.send_input(frame.get(), SlotClass::kInput);
  WorkerSlots& sut = dispatcher.worker;
  EXPECT_FALSE(sut.wrap(record_of({slot.index + 1, 1}, 0, 1)));
  EXPECT_FALSE(sut.wrap(record_of({slot.index, 2}, 0, 1)));
  EXPECT_FALSE(sut.wrap(record_of(slot, 0, 2 * kPage + 1)));
  EXPECT_FALSE(sut.wrap(record_of(slot, 2 * kPage + 1, 0)));
  EXPECT_FALSE(sut.wrap(record_of(slot, UINT64_MAX, 2)));
  EXPECT_FALSE(sut.wrap(record_of(slot, 2, UINT64_MAX)));
  EXPECT_TRUE(sut.wrap(record_of(slot, 2 * kPage, 0)));
  sut.remove({slot.index, 2});
  EXPECT_TRUE(sut.wrap(record_of(slot, 0, 1)));
  sut.remove(slot);
  EXPECT_FALSE(sut.wrap(record_of(slot, 0, 1)));
}

TEST(WorkerSlots, RefusesWhatWouldEndInASigbus) {
  OtherSide dispatcher;
  WorkerSlots& sut = dispatcher.worker;
  const SlotName name{.index = 3, .generation = 1};
  const auto add = [&](std::uint64_t bytes, os::UniqueFd fd) {
    return sut.add(name, SlotClass::kInput, bytes, std::move(fd));
  };
  EXPECT_STREQ(add(kPage, os::UniqueFd()), "no descriptor");
  EXPECT_STREQ(add(kPage + 1, memfd(kPage)), "size");
  EXPECT_STREQ(add(0, memfd(kPage)), "size");
  EXPECT_STREQ(add(kPage, memfd(kPage, false)), "size is not sealed");
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const os::UniqueFd other_end(pipe_ends[1]);
  EXPECT_STREQ(add(kPage, os::UniqueFd(pipe_ends[0])), "size");
  EXPECT_STREQ(add(kPage, memfd(kPage)), nullptr);
  EXPECT_STREQ(add(kPage, memfd(kPage)), "index");
}

TEST(WorkerSlots, CannotMapForWritingWhatIsForReading) {
  OtherSide dispatcher;
  const MemoryPtr frame = input_frame(dispatcher.store, pages(1), 7);
  EXPECT_STREQ(dispatcher.worker.add(
                   {9, 1}, SlotClass::kInPlace, kPage,
                   os::UniqueFd::duplicate(gst_fd_memory_get_fd(frame.get()))),
               "cannot be mapped");
}

TEST(WorkerSlots, KeepsMappedWhatIsInUse) {
  OtherSide dispatcher;
  const MemoryPtr frame = input_frame(dispatcher.store, pages(1), 7);
  const SlotName slot = dispatcher.send_input(frame.get(), SlotClass::kInput);
  const MemoryPtr memory = dispatcher.worker.wrap(record_of(slot, 0, pages(1)));
  dispatcher.worker.remove(slot);
  EXPECT_EQ(byte_at(memory.get(), pages(1) - 1), 7);
}

TEST(WorkerSlots, MaySurviveTheirKeeper) {
  auto dispatcher = std::make_unique<OtherSide>();
  MemoryPtr memory = alloc(dispatcher->worker, pages(1));
  const ObjectPtr<GstAllocator> allocator =
      stage::share_object(dispatcher->worker.allocator());
  dispatcher.reset();
  EXPECT_TRUE(write(memory.get(), 1));
  GstAllocationParams params{};
  EXPECT_EQ(gst_allocator_alloc(allocator.get(), 1, &params), nullptr);
  memory.reset();
}

// ---- Writing ---------------------------------------------------------------

TEST(WorkerSlots, LetNobodyWriteIntoAnInput) {
  OtherSide dispatcher;
  const MemoryPtr frame = input_frame(dispatcher.store, pages(1), 7);
  const SlotName slot = dispatcher.send_input(frame.get(), SlotClass::kInput);
  const MemoryPtr sut = dispatcher.worker.wrap(
      record_of(slot, 0, pages(1), core::protocol::kWritable));
  EXPECT_FALSE(write(sut.get(), 1));
  // Nor if the stage takes the mark off.
  GST_MINI_OBJECT_FLAG_UNSET(sut.get(), GST_MEMORY_FLAG_READONLY);
  EXPECT_FALSE(write(sut.get(), 1));
}

TEST(WorkerSlots, LetWriteInPlaceOnlyWhereTheCommandSaysSo) {
  OtherSide dispatcher;
  dispatcher.store.set_input_class(SlotClass::kInPlace);
  const MemoryPtr frame = input_frame(dispatcher.store, pages(1), 7);
  const SlotName slot = dispatcher.send_input(frame.get(), SlotClass::kInPlace);
  EXPECT_FALSE(
      write(dispatcher.worker.wrap(record_of(slot, 0, pages(1))).get(), 1));
  EXPECT_TRUE(write(
      dispatcher.worker.wrap(record_of(slot, 10, 20, core::protocol::kWritable))
          .get(),
      1));
  EXPECT_EQ(byte_at(frame.get(), 9), 7);
  EXPECT_EQ(byte_at(frame.get(), 10), 1);
  EXPECT_EQ(byte_at(frame.get(), 30), 7);
}

TEST(WorkerSlots, CopyOnWriteIntoAResultSlotAndCountIt) {
  OtherSide dispatcher;
  const MemoryPtr frame = input_frame(dispatcher.store, 5000, 7);
  const SlotName slot = dispatcher.send_input(frame.get(), SlotClass::kInput);
  BufferPtr sut = buffer_of(dispatcher.worker.wrap(record_of(slot, 100, 4000)));
  GstMapInfo map;
  ASSERT_TRUE(gst_buffer_map(sut.get(), &map, GST_MAP_READWRITE));
  EXPECT_EQ(map.size, 4000U);
  EXPECT_EQ(map.data[3999], 7);
  std::memset(map.data, 8, map.size);
  gst_buffer_unmap(sut.get(), &map);

  EXPECT_EQ(byte_at(frame.get(), 200), 7) << "nobody else sees it";
  const auto name =
      dispatcher.worker.name_of(gst_buffer_peek_memory(sut.get(), 0));
  ASSERT_TRUE(name);
  EXPECT_NE(name->slot, slot.index);
  EXPECT_EQ(byte_at(dispatcher.take_result(*name).get(), 3999), 8);
  const WorkerSlots::Copies copies = dispatcher.worker.take_copies();
  EXPECT_EQ(copies.buffers, 1U);
  EXPECT_EQ(copies.bytes, 4000U);
  EXPECT_EQ(dispatcher.worker.take_copies().buffers, 0U);
}

TEST(WorkerSlots, CopyAnyPartOfAFrame) {
  OtherSide dispatcher;
  const MemoryPtr frame = input_frame(dispatcher.store, 5000, 7);
  const SlotName slot = dispatcher.send_input(frame.get(), SlotClass::kInput);
  const MemoryPtr memory = dispatcher.worker.wrap(record_of(slot, 1000, 3000));
  const MemoryPtr middle(gst_memory_copy(memory.get(), 100, 200));
  EXPECT_EQ(middle->size, 200U);
  EXPECT_EQ(byte_at(middle.get(), 199), 7);
  const MemoryPtr rest(gst_memory_copy(memory.get(), 100, -1));
  EXPECT_EQ(rest->size, 2900U);
  const MemoryPtr nothing(gst_memory_copy(memory.get(), 3000, -1));
  EXPECT_EQ(nothing->size, 0U);
}

TEST(WorkerSlots, HaveNoCopyWhereThereIsNoSlot) {
  OtherSide dispatcher;
  dispatcher.gives_slots = false;
  const MemoryPtr frame = input_frame(dispatcher.store, 5000, 7);
  const SlotName slot = dispatcher.send_input(frame.get(), SlotClass::kInput);
  const MemoryPtr memory = dispatcher.worker.wrap(record_of(slot, 0, 5000));
  EXPECT_EQ(gst_memory_copy(memory.get(), 0, -1), nullptr);
  BufferPtr buffer = buffer_of(dispatcher.worker.wrap(record_of(slot, 0, 1)));
  GstMapInfo map;
  EXPECT_FALSE(gst_buffer_map(buffer.get(), &map, GST_MAP_WRITE));
  EXPECT_TRUE(copy(dispatcher.worker, buffer.get()).empty());
}

// ---- Parts -----------------------------------------------------------------

TEST(WorkerSlots, NameAPartByItsPlaceInTheSlot) {
  OtherSide dispatcher;
  const MemoryPtr frame = input_frame(dispatcher.store, 5000, 7);
  const SlotName slot = dispatcher.send_input(frame.get(), SlotClass::kInput);
  MemoryPtr memory = dispatcher.worker.wrap(record_of(slot, 1000, 3000));
  MemoryPtr part(gst_memory_share(memory.get(), 100, -1));
  const MemoryPtr part_of_part(gst_memory_share(part.get(), 10, 20));
  memory.reset();
  part.reset();
  const auto name = dispatcher.worker.name_of(part_of_part.get());
  ASSERT_TRUE(name);
  EXPECT_EQ(name->slot, slot.index);
  EXPECT_EQ(name->generation, slot.generation);
  EXPECT_EQ(name->offset, 1110U);
  EXPECT_EQ(name->bytes, 20U);
  EXPECT_EQ(name->flags, 0U);
  EXPECT_EQ(byte_at(part_of_part.get(), 19), 7);
}

TEST(WorkerSlots, PutPartsTogetherWithoutACopy) {
  OtherSide dispatcher;
  MemoryPtr memory = alloc(dispatcher.worker, 1000);
  ASSERT_TRUE(write(memory.get(), 5));
  BufferPtr buffer(gst_buffer_new());
  gst_buffer_append_memory(buffer.get(),
                           gst_memory_share(memory.get(), 100, 200));
  gst_buffer_append_memory(buffer.get(),
                           gst_memory_share(memory.get(), 300, 50));
  GstMapInfo map;
  ASSERT_TRUE(gst_buffer_map(buffer.get(), &map, GST_MAP_READ));
  EXPECT_EQ(map.size, 250U);
  gst_buffer_unmap(buffer.get(), &map);
  EXPECT_EQ(dispatcher.requests.size(), 1U);
}

TEST(WorkerSlots, NameNoOtherMemory) {
  OtherSide dispatcher;
  OtherSide another;
  const MemoryPtr plain(gst_allocator_alloc(nullptr, 10, nullptr));
  EXPECT_FALSE(dispatcher.worker.name_of(plain.get()));
  const MemoryPtr foreign = alloc(another.worker, 10);
  EXPECT_FALSE(dispatcher.worker.name_of(foreign.get()));
}

// ---- Allocating ------------------------------------------------------------

TEST(WorkerSlots, AskForASlotAndUseItAgain) {
  OtherSide dispatcher;
  std::set<std::uint32_t> slots;
  for (int i = 0; i < 50; ++i) {
    const MemoryPtr memory = alloc(dispatcher.worker, 5000);
    ASSERT_TRUE(memory);
    EXPECT_TRUE(write(memory.get(), 1));
    slots.insert(dispatcher.worker.name_of(memory.get())->slot);
  }
  EXPECT_EQ(slots.size(), 1U);
  EXPECT_EQ(dispatcher.requests, std::vector<std::uint64_t>{5000});
}

TEST(WorkerSlots, GiveTheSmallestThatFits) {
  OtherSide dispatcher;
  dispatcher.send_result_slot(pages(8));
  const SlotName small = dispatcher.send_result_slot(pages(2));
  dispatcher.send_result_slot(pages(4));
  const MemoryPtr memory = alloc(dispatcher.worker, pages(1) + 1);
  EXPECT_EQ(dispatcher.worker.name_of(memory.get())->slot, small.index);
  EXPECT_TRUE(dispatcher.requests.empty());
}

TEST(WorkerSlots, HaveALittleMemoryBehindEachFrame) {
  OtherSide dispatcher;
  for (const std::uint64_t bytes : {2 * kPage - 1, 2 * kPage, pages(2)})
    EXPECT_GE(alloc(dispatcher.worker, bytes)->maxsize,
              bytes + process::kSpareBytes);
}

TEST(WorkerSlots, HandBackWhatIsTooSmall) {
  OtherSide dispatcher;
  const SlotName small = dispatcher.send_result_slot(pages(1));
  const SlotName used = dispatcher.send_result_slot(pages(1));
  const MemoryPtr in_use = alloc(dispatcher.worker, pages(1));
  const bool first_is_used =
      dispatcher.worker.name_of(in_use.get())->slot == small.index;
  const MemoryPtr large = alloc(dispatcher.worker, pages(3));
  ASSERT_TRUE(large);
  EXPECT_EQ(dispatcher.given_back,
            std::vector<SlotName>{first_is_used ? used : small});
}

TEST(WorkerSlots, HaveThePlaceAroundTheFrameThatIsAskedFor) {
  OtherSide dispatcher;
  dispatcher.send_result_slot(pages(2));
  EXPECT_TRUE(write(alloc(dispatcher.worker, pages(2)).get(), 0xff));
  GstAllocationParams params{};
  params.flags = static_cast<GstMemoryFlags>(GST_MEMORY_FLAG_ZERO_PREFIXED |
                                             GST_MEMORY_FLAG_ZERO_PADDED);
  params.align = 127;
  params.prefix = 256;
  params.padding = 1000;
  const MemoryPtr memory = alloc(dispatcher.worker, 5000, params);
  EXPECT_EQ(memory->offset, 256U);
  EXPECT_EQ(memory->size, 5000U);
  EXPECT_EQ(memory->align, 127U);
  EXPECT_GE(memory->maxsize, 6256U);
  EXPECT_TRUE(GST_MEMORY_IS_ZERO_PADDED(memory.get()));
  GstMapInfo map;
  ASSERT_TRUE(gst_memory_map(memory.get(), &map, GST_MAP_READ));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(map.data) % 128, 0U);
  EXPECT_EQ(map.data[-1], 0);
  EXPECT_EQ(map.data[0], 0xff);
  EXPECT_EQ(map.data[5000], 0);
  gst_memory_unmap(memory.get(), &map);

  params = {};
  params.align = 64 * kPage - 1;
  const MemoryPtr far = alloc(dispatcher.worker, 100, params);
  ASSERT_TRUE(gst_memory_map(far.get(), &map, GST_MAP_WRITE));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(map.data) % (64 * kPage), 0U);
  gst_memory_unmap(far.get(), &map);
}

TEST(WorkerSlots, GiveNoMemoryThatIsLargerThanItsSlot) {
  OtherSide dispatcher;
  GstAllocationParams params{};
  params.prefix = G_MAXSIZE - 100;
  EXPECT_FALSE(alloc(dispatcher.worker, 200, params));
  params = {};
  params.padding = 101;
  EXPECT_FALSE(alloc(dispatcher.worker, G_MAXSIZE - 100, params));
  // The slot that was tried is free.
  EXPECT_TRUE(alloc(dispatcher.worker, 1));
  EXPECT_EQ(dispatcher.requests.size(), 1U);
}

TEST(WorkerSlots, CopyOtherMemoryIntoSlotsWhoseSizesRecur) {
  OtherSide dispatcher;
  for (const gsize bytes : {5000, 6000, 7000, 8000, 5000}) {
    BufferPtr buffer(gst_buffer_new_allocate(nullptr, bytes, nullptr));
    gst_buffer_memset(buffer.get(), 0, 3, bytes);
    const std::vector<MemoryPtr> copies = copy(dispatcher.worker, buffer.get());
    ASSERT_EQ(copies.size(), 1U);
    EXPECT_EQ(copies[0]->size, bytes);
    EXPECT_EQ(byte_at(copies[0].get(), bytes - 1), 3);
  }
  EXPECT_EQ(dispatcher.requests, std::vector<std::uint64_t>{8192});
}

TEST(WorkerSlots, CopySeveralMemoriesIntoOneSlot) {
  OtherSide dispatcher;
  std::vector<MemoryPtr> memories;
  std::vector<GstMemory*> all;
  for (const std::uint8_t i : {0, 1, 2, 3}) {
    memories.emplace_back(
        gst_allocator_alloc(nullptr, gsize{100} * i, nullptr));
    ASSERT_TRUE(write(memories.back().get(), i));
    all.push_back(memories.back().get());
  }
  const std::vector<MemoryPtr> copies = dispatcher.worker.copy(all);
  ASSERT_EQ(copies.size(), 4U);
  std::uint64_t end = 0;
  for (const std::uint8_t i : {0, 1, 2, 3}) {
    EXPECT_EQ(copies[i]->size, 100U * i);
    const MemoryRecord name = *dispatcher.worker.name_of(copies[i].get());
    EXPECT_EQ(name.slot, dispatcher.worker.name_of(copies[0].get())->slot);
    EXPECT_GE(name.offset, end);
    end = name.offset + name.bytes;
    if (i == 0) continue;
    EXPECT_EQ(byte_at(copies[i].get(), 0), i);
    EXPECT_EQ(byte_at(copies[i].get(), 100 * i - 1), i);
  }
  EXPECT_EQ(dispatcher.requests.size(), 1U);
}

TEST(WorkerSlots, CountWhatTheyAreTold) {
  OtherSide dispatcher;
  dispatcher.worker.count({.buffers = 2, .bytes = 30});
  dispatcher.worker.count({.buffers = 1, .bytes = 5});
  const WorkerSlots::Copies copies = dispatcher.worker.take_copies();
  EXPECT_EQ(copies.buffers, 3U);
  EXPECT_EQ(copies.bytes, 35U);
}

// ---- Reporting -------------------------------------------------------------

TEST(WorkerSlots, KeepAReportedResultUntilItIsBack) {
  OtherSide dispatcher;
  const Reported first = report(dispatcher, pages(1));
  const MemoryPtr second = alloc(dispatcher.worker, pages(1));
  EXPECT_NE(dispatcher.worker.name_of(second.get())->slot, first.record.slot);
  EXPECT_TRUE(dispatcher.take_result(first.record));
  dispatcher.release(first.record.slot);
  dispatcher.worker.take_released();
  const MemoryPtr third = alloc(dispatcher.worker, pages(1));
  EXPECT_EQ(dispatcher.worker.name_of(third.get())->slot, first.record.slot);
  EXPECT_EQ(dispatcher.requests.size(), 2U);
}

TEST(WorkerSlots, KeepThePoolOfTheStageFromUsingIt) {
  OtherSide dispatcher;
  const ObjectPtr<GstBufferPool> pool(gst_buffer_pool_new());
  GstStructure* config = gst_buffer_pool_get_config(pool.get());
  gst_buffer_pool_config_set_params(config, nullptr, 5000, 0, 0);
  gst_buffer_pool_config_set_allocator(config, dispatcher.worker.allocator(),
                                       nullptr);
  ASSERT_TRUE(gst_buffer_pool_set_config(pool.get(), config));
  ASSERT_TRUE(gst_buffer_pool_set_active(pool.get(), TRUE));
  const auto acquire = [&] {
    GstBuffer* buffer = nullptr;
    EXPECT_EQ(gst_buffer_pool_acquire_buffer(pool.get(), &buffer, nullptr),
              GST_FLOW_OK);
    return BufferPtr(buffer);
  };
  std::set<std::uint32_t> slots;
  for (int i = 0; i < 20; ++i) {
    BufferPtr buffer = acquire();
    GstMemory* const memory = gst_buffer_peek_memory(buffer.get(), 0);
    const MemoryRecord record = *dispatcher.worker.name_of(memory);
    dispatcher.worker.keep_until_released(std::move(buffer));
    slots.insert(record.slot);
    // The other one is away meanwhile.
    const BufferPtr next = acquire();
    EXPECT_NE(
        dispatcher.worker.name_of(gst_buffer_peek_memory(next.get(), 0))->slot,
        record.slot);
    dispatcher.release(record.slot);
    dispatcher.worker.take_released();
  }
  EXPECT_LE(slots.size(), 2U);
  gst_buffer_pool_set_active(pool.get(), FALSE);
}

TEST(WorkerSlots, KeepABufferUntilAllItsSlotsAreBack) {
  OtherSide dispatcher;
  BufferPtr buffer(gst_buffer_new());
  std::vector<std::uint32_t> slots;
  for (int i = 0; i < 3; ++i) {
    MemoryPtr memory = alloc(dispatcher.worker, pages(1));
    slots.push_back(dispatcher.worker.name_of(memory.get())->slot);
    gst_buffer_append_memory(buffer.get(), memory.release());
  }
  BufferPtr watched = stage::share(buffer.get());
  dispatcher.worker.keep_until_released(std::move(buffer));
  for (const std::uint32_t slot : slots) {
    EXPECT_FALSE(gst_buffer_is_writable(watched.get()));
    dispatcher.release(slot);
    dispatcher.worker.take_released();
  }
  EXPECT_TRUE(gst_buffer_is_writable(watched.get()));
}

TEST(WorkerSlots, DoNotKeepWhatLiesInInputs) {
  OtherSide dispatcher;
  const MemoryPtr frame = input_frame(dispatcher.store, pages(1), 7);
  const SlotName slot = dispatcher.send_input(frame.get(), SlotClass::kInput);
  const BufferPtr buffer =
      buffer_of(dispatcher.worker.wrap(record_of(slot, 0, pages(1))));
  dispatcher.worker.keep_until_released(stage::share(buffer.get()));
  EXPECT_TRUE(gst_buffer_is_writable(buffer.get()));
  EXPECT_TRUE(
      dispatcher.worker.name_of(gst_buffer_peek_memory(buffer.get(), 0)));
}

// A stage may keep a result and give it once more (videorate does).
TEST(WorkerSlots, NameAResultOnlyOnce) {
  OtherSide dispatcher;
  BufferPtr buffer = buffer_of(alloc(dispatcher.worker, pages(1)));
  const BufferPtr again(gst_buffer_copy(buffer.get()));
  GstMemory* const memory = gst_buffer_peek_memory(again.get(), 0);
  const MemoryRecord record = *dispatcher.worker.name_of(memory);
  dispatcher.worker.keep_until_released(std::move(buffer));
  EXPECT_FALSE(dispatcher.worker.name_of(memory));
  dispatcher.release(record.slot);
  dispatcher.worker.take_released();
  EXPECT_TRUE(dispatcher.worker.name_of(memory));
}

// A payloader gives many parts of one memory.
TEST(WorkerSlots, KeepAllPartsOfASlotUntilItIsBack) {
  OtherSide dispatcher;
  const BufferPtr whole = buffer_of(alloc(dispatcher.worker, pages(1)));
  const MemoryRecord record =
      *dispatcher.worker.name_of(gst_buffer_peek_memory(whole.get(), 0));
  std::vector<BufferPtr> parts;
  for (const gsize start : {0, 20, 10}) {
    parts.emplace_back(
        gst_buffer_copy_region(whole.get(), GST_BUFFER_COPY_MEMORY, start, 20));
    const auto name = dispatcher.worker.name_of(
        gst_buffer_peek_memory(parts.back().get(), 0));
    ASSERT_TRUE(name);
    EXPECT_EQ(name->slot, record.slot);
    EXPECT_EQ(name->offset, record.offset + start);
  }
  for (const BufferPtr& part : parts)
    dispatcher.worker.keep_until_released(stage::share(part.get()));
  for (const BufferPtr& part : parts)
    EXPECT_FALSE(gst_buffer_is_writable(part.get()));
  dispatcher.release(record.slot);
  dispatcher.worker.take_released();
  for (const BufferPtr& part : parts)
    EXPECT_TRUE(gst_buffer_is_writable(part.get()));
}

TEST(WorkerSlots, LetGoOfWhatWaitsForASlotThatIsNoMore) {
  OtherSide dispatcher;
  BufferPtr buffer = buffer_of(alloc(dispatcher.worker, pages(1)));
  const MemoryRecord record =
      *dispatcher.worker.name_of(gst_buffer_peek_memory(buffer.get(), 0));
  const BufferPtr watched = stage::share(buffer.get());
  dispatcher.worker.keep_until_released(std::move(buffer));
  dispatcher.worker.remove({record.slot, record.generation});
  EXPECT_TRUE(gst_buffer_is_writable(watched.get()));
}

TEST(WorkerSlots, FollowTheRingRound) {
  OtherSide dispatcher;
  for (unsigned i = 0; i < 3 * core::protocol::kMaxResultSlots; ++i) {
    const Reported result = report(dispatcher, pages(1));
    dispatcher.release(result.record.slot);
  }
  EXPECT_EQ(dispatcher.requests.size(), 1U);
}

TEST(WorkerSlots, HeedNoReleaseOfWhatIsUnknown) {
  OtherSide dispatcher;
  const Reported result = report(dispatcher, pages(1));
  dispatcher.release(UINT32_MAX);
  dispatcher.release(result.record.slot + 1);
  dispatcher.worker.take_released();
  const MemoryPtr other = alloc(dispatcher.worker, pages(1));
  EXPECT_NE(dispatcher.worker.name_of(other.get())->slot, result.record.slot);
}

// ---- Waiting ---------------------------------------------------------------

TEST(WorkerSlots, HaveNothingWhereNothingIsOut) {
  OtherSide dispatcher;
  dispatcher.gives_slots = false;
  EXPECT_FALSE(alloc(dispatcher.worker, pages(1)));
  EXPECT_FALSE(dispatcher.worker_sleeps());
}

// A stage of two elements needs memory for both; only one leaves.
TEST(WorkerSlots, GivePlainMemoryBesideAOneAndOnlySlot) {
  OtherSide dispatcher;
  MemoryPtr only = alloc(dispatcher.worker, pages(1));
  dispatcher.gives_slots = false;
  BufferPtr second = buffer_of(alloc(dispatcher.worker, pages(1)));
  const MemoryPtr copied(gst_memory_copy(only.get(), 0, -1));
  for (GstMemory* plain :
       {gst_buffer_peek_memory(second.get(), 0), copied.get()}) {
    ASSERT_NE(plain, nullptr);
    EXPECT_EQ(plain->size, pages(1));
    EXPECT_FALSE(dispatcher.worker.name_of(plain));
  }
  EXPECT_FALSE(alloc(dispatcher.worker, pages(2))) << "nor will there be one";
  EXPECT_TRUE(copy(dispatcher.worker, second.get()).empty()) << "it is in use";
  only.reset();
  const std::vector<MemoryPtr> result = copy(dispatcher.worker, second.get());
  ASSERT_EQ(result.size(), 1U);
  EXPECT_TRUE(dispatcher.worker.name_of(result[0].get()));
}

TEST(WorkerSlots, WaitForOneThatIsOut) {
  OtherSide dispatcher;
  const Reported first = report(dispatcher, pages(1));
  dispatcher.gives_slots = false;
  auto second = alloc_and_sleep(dispatcher, pages(1));
  dispatcher.release(first.record.slot);
  const MemoryPtr memory = second.get();
  ASSERT_TRUE(memory);
  EXPECT_EQ(dispatcher.worker.name_of(memory.get())->slot, first.record.slot);
  EXPECT_EQ(dispatcher.wake_ups, 1U);
  EXPECT_FALSE(dispatcher.worker_sleeps());
}

TEST(WorkerSlots, AreReleasedWithoutASystemCallWhenNobodySleeps) {
  OtherSide dispatcher;
  for (int i = 0; i < 10; ++i)
    dispatcher.release(report(dispatcher, pages(1)).record.slot);
  EXPECT_EQ(dispatcher.wake_ups, 0U);
}

// What comes back is too small, but makes room for one that is not.
TEST(WorkerSlots, TradeInASmallOneThatComesBack) {
  OtherSide dispatcher;
  dispatcher.store.budget().set_max_bytes(4 * kPage);
  const Reported first = report(dispatcher, pages(1));
  dispatcher.gives_slots = false;
  auto large = alloc_and_sleep(dispatcher, pages(4));
  dispatcher.gives_slots = true;
  dispatcher.release(first.record.slot);
  EXPECT_TRUE(large.get());
  ASSERT_EQ(dispatcher.given_back.size(), 1U);
  EXPECT_EQ(dispatcher.given_back[0].index, first.record.slot);
}

TEST(WorkerSlots, EndTheirWaitWhenInterrupted) {
  OtherSide dispatcher;
  const Reported first = report(dispatcher, pages(1));
  dispatcher.gives_slots = false;
  auto second = alloc_and_sleep(dispatcher, pages(1));
  dispatcher.worker.interrupt(true);
  EXPECT_FALSE(second.get());
  EXPECT_TRUE(dispatcher.worker.is_interrupted());
  EXPECT_FALSE(alloc(dispatcher.worker, pages(1))) << "until it is over";
  EXPECT_FALSE(dispatcher.worker_sleeps());
  dispatcher.worker.interrupt(false);
  auto third = alloc_and_sleep(dispatcher, pages(1));
  dispatcher.release(first.record.slot);
  EXPECT_TRUE(third.get());
}

TEST(WorkerSlots, EndAllTheirWaits) {
  OtherSide dispatcher;
  report(dispatcher, pages(1));
  dispatcher.gives_slots = false;
  for (int round = 0; round < 200; ++round) {
    std::vector<std::future<MemoryPtr>> waits(3);
    for (auto& wait : waits)
      wait = std::async(std::launch::async,
                        [&] { return alloc(dispatcher.worker, 1); });
    dispatcher.worker.interrupt(true);
    for (auto& wait : waits) EXPECT_FALSE(wait.get());
    dispatcher.worker.interrupt(false);
  }
}

// Results go round between a worker that waits for each and a dispatcher that
// gives each back from another thread.
TEST(WorkerSlots, LoseNoWakeUp) {
  OtherSide dispatcher;
  report(dispatcher, pages(1));
  dispatcher.gives_slots = false;
  dispatcher.release(0);
  std::atomic<int> reported{0};
  constexpr int kRounds = 5000;
  auto downstream = std::async(std::launch::async, [&] {
    for (int done = 0; done < kRounds; ++done) {
      while (reported.load() == done) std::this_thread::yield();
      dispatcher.release(0);
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    report(dispatcher, pages(1));
    ++reported;
  }
  downstream.wait();
}

// ---- Both sides ------------------------------------------------------------

// An input is read, a result is written, goes downstream and comes back.
TEST(WorkerSlots, CarryFramesRoundWithoutACopy) {
  OtherSide dispatcher;
  const MemoryPtr frame = input_frame(dispatcher.store, 5000, 0);
  const SlotName input = dispatcher.send_input(frame.get(), SlotClass::kInput);
  std::set<std::uint32_t> slots;
  for (std::uint8_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(write(frame.get(), i));
    dispatcher.worker.take_released();
    const MemoryPtr seen = dispatcher.worker.wrap(record_of(input, 0, 5000));
    MemoryPtr result = alloc(dispatcher.worker, 5000);
    ASSERT_TRUE(write(result.get(),
                      static_cast<std::uint8_t>(255 - byte_at(seen.get(), 0))));
    const MemoryRecord record = *dispatcher.worker.name_of(result.get());
    dispatcher.worker.keep_until_released(buffer_of(std::move(result)));
    slots.insert(record.slot);

    MemoryPtr downstream = dispatcher.take_result(record);
    EXPECT_EQ(byte_at(downstream.get(), 4999), 255 - i);
    downstream.reset();
    dispatcher.release(record.slot);
  }
  EXPECT_EQ(slots.size(), 1U);
  EXPECT_EQ(dispatcher.worker.take_copies().buffers, 0U);
}

// Elements of a stage, in their usual ways.
TEST(WorkerSlots, AreWhatElementsWriteInto) {
  OtherSide dispatcher;
  constexpr gsize kFrame = 16384;  // 64 x 64 of AYUV
  const MemoryPtr frame = input_frame(dispatcher.store, kFrame, 100);
  const SlotName input = dispatcher.send_input(frame.get(), SlotClass::kInput);
  GstHarness* const stage =
      gst_harness_new_parse("videobalance brightness=0.2");
  gst_harness_set_src_caps_str(
      stage, "video/x-raw,format=AYUV,width=64,height=64,framerate=30/1");
  for (int i = 0; i < 5; ++i) {
    BufferPtr in =
        buffer_of(dispatcher.worker.wrap(record_of(input, 0, kFrame)));
    const BufferPtr out(gst_harness_push_and_pull(stage, in.release()));
    ASSERT_TRUE(out);
    GstMemory* const memory = gst_buffer_peek_memory(out.get(), 0);
    const auto name = dispatcher.worker.name_of(memory);
    ASSERT_TRUE(name);
    EXPECT_NE(name->slot, input.index) << "an input was written to";
    EXPECT_NE(byte_at(memory, 1), 100);
  }
  gst_harness_teardown(stage);
  EXPECT_EQ(byte_at(frame.get(), 1), 100);
  EXPECT_EQ(dispatcher.worker.take_copies().buffers, 5U);
  EXPECT_EQ(dispatcher.requests.size(), 1U);
}

}  // namespace
}  // namespace dispatch::test
