// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Slots on the dispatcher's side: what is offered to real elements, what is
// copied, what comes back, and who can do what with the files.
#include "process/slots.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <future>
#include <latch>
#include <set>
#include <thread>

#include <gst/allocators/gstdmabuf.h>
#include <gst/video/video.h>

#include "element_harness.h"
#include "process/result_frames.h"
#include "process/shared_file.h"

namespace dispatch::test {
namespace {

using core::protocol::SlotClass;
using process::MemoryPtr;
using process::shared_file_of;
using process::SlotStore;
using stage::CapsPtr;
using stage::ObjectPtr;

constexpr std::uint64_t kPage = 4096;
// A frame that takes so many pages.
constexpr std::uint64_t pages(std::uint64_t count) {
  return count * kPage - process::kSpareBytes;
}
constexpr std::uint64_t kFrame = 320 * 240 * 3 / 2;
constexpr std::uint64_t kFrameSlot = 29 * kPage;  // the pages that it takes
const char* const kFrameCaps = "video/x-raw,format=I420,width=320,height=240";

MemoryPtr alloc(SlotStore& store, std::uint64_t bytes,
                GstAllocationParams params = {}) {
  return MemoryPtr(gst_allocator_alloc(store.allocator(), bytes, &params));
}

MemoryPtr plain_memory(std::uint64_t bytes) {
  return MemoryPtr(gst_allocator_alloc(nullptr, bytes, nullptr));
}

BufferPtr buffer_of(MemoryPtr memory) {
  BufferPtr buffer(gst_buffer_new());
  gst_buffer_append_memory(buffer.get(), memory.release());
  return buffer;
}

BufferPtr plain_buffer(std::uint64_t bytes, std::uint8_t value) {
  BufferPtr buffer = buffer_of(plain_memory(bytes));
  gst_buffer_memset(buffer.get(), 0, value, bytes);
  return buffer;
}

void fill(GstMemory* memory, std::uint8_t value) {
  GstMapInfo map;
  ASSERT_TRUE(gst_memory_map(memory, &map, GST_MAP_WRITE));
  std::memset(map.data, value, map.size);
  gst_memory_unmap(memory, &map);
}

std::uint8_t first_byte(GstMemory* memory) {
  GstMapInfo map;
  EXPECT_TRUE(gst_memory_map(memory, &map, GST_MAP_READ));
  const std::uint8_t value = map.data[0];
  gst_memory_unmap(memory, &map);
  return value;
}

gpointer address_of(GstMemory* memory, GstMapFlags flags) {
  GstMapInfo map;
  EXPECT_TRUE(gst_memory_map(memory, &map, flags));
  gst_memory_unmap(memory, &map);
  return map.data;
}

int fd_of(GstMemory* memory) { return gst_fd_memory_get_fd(memory); }

// 0: no shared file.
std::uint64_t file_id(GstMemory* memory) {
  const auto file = shared_file_of(memory);
  return file ? file->id : 0;
}

std::uint64_t file_id(GstBuffer* buffer) {
  return file_id(gst_buffer_peek_memory(buffer, 0));
}

// What a process that got `fd` from us finds when it tries.
bool holds_in_child(const std::function<bool()>& attempt) {
  const pid_t child = fork();
  if (child == 0) _exit(attempt() ? 0 : 1);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool can_be_written(int fd, std::uint64_t bytes) {
  void* const data =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (data != MAP_FAILED) munmap(data, bytes);
  return data != MAP_FAILED;
}

// Another descriptor, with rights of its own.
os::UniqueFd opened_again(int fd) {
  return os::UniqueFd(open(("/proc/self/fd/" + std::to_string(fd)).c_str(),
                           O_RDWR | O_CLOEXEC));
}

os::UniqueFd foreign_file(std::uint64_t bytes, bool is_sealed = true) {
  os::UniqueFd fd = os::create_memfd("foreign", bytes).take();
  EXPECT_TRUE(!is_sealed || os::seal(fd.get(), os::Seal::kSize));
  return fd;
}

MemoryPtr fd_memory(os::UniqueFd fd, std::uint64_t bytes) {
  const ObjectPtr<GstAllocator> allocator(gst_fd_allocator_new());
  return MemoryPtr(gst_fd_allocator_alloc(allocator.get(), fd.release(), bytes,
                                          GST_FD_MEMORY_FLAG_NONE));
}

QueryPtr allocation_query(const char* caps, bool needs_pool = true) {
  const CapsPtr parsed(caps ? gst_caps_from_string(caps) : nullptr);
  return QueryPtr(gst_query_new_allocation(parsed.get(), needs_pool));
}

struct OfferedPool {
  ObjectPtr<GstBufferPool> pool;
  guint size = 0;
  guint min = 0;
  guint max = 0;
};

OfferedPool pool_in(GstQuery* query, guint index = 0) {
  OfferedPool result;
  GstBufferPool* pool = nullptr;
  gst_query_parse_nth_allocation_pool(query, index, &pool, &result.size,
                                      &result.min, &result.max);
  result.pool.reset(pool);
  return result;
}

BufferPtr acquire(GstBufferPool* pool) {
  GstBuffer* buffer = nullptr;
  EXPECT_EQ(gst_buffer_pool_acquire_buffer(pool, &buffer, nullptr),
            GST_FLOW_OK);
  return BufferPtr(buffer);
}

// ---- The bound -------------------------------------------------------------

class OpenFilesLimit {
 public:
  explicit OpenFilesLimit(rlim_t files) {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = files;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  ~OpenFilesLimit() { setrlimit(RLIMIT_NOFILE, &before_); }
  OpenFilesLimit(const OpenFilesLimit&) = delete;
  OpenFilesLimit& operator=(const OpenFilesLimit&) = delete;

  // No further one.
  static rlim_t all_in_use() {
    return static_cast<rlim_t>(os::UniqueFd(dup(0)).get());
  }

 private:
  rlimit before_{};
};

TEST(SlotBudget, GivesAllOrNothing) {
  process::SlotBudget sut;
  sut.set_max_bytes(100);
  EXPECT_TRUE(sut.reserve(60));
  EXPECT_FALSE(sut.reserve(41));
  EXPECT_EQ(sut.level(), 60U);
  EXPECT_TRUE(sut.has_room_for(40));
  EXPECT_FALSE(sut.has_room_for(41));
  EXPECT_TRUE(sut.reserve(40));
  sut.give_back(60);
  EXPECT_EQ(sut.level(), 40U);
}

TEST(SlotBudget, WithoutABoundGivesEverything) {
  process::SlotBudget sut;
  EXPECT_TRUE(sut.reserve(UINT64_MAX / 2));
  EXPECT_EQ(sut.max_bytes(), 0U);
}

TEST(SlotBudget, HoldsForWhatComesIfItIsLowered) {
  process::SlotBudget sut;
  ASSERT_TRUE(sut.reserve(100));
  sut.set_max_bytes(50);
  EXPECT_EQ(sut.level(), 100U);
  EXPECT_FALSE(sut.reserve(1));
  EXPECT_FALSE(sut.has_room_for(0));
  sut.give_back(60);
  EXPECT_TRUE(sut.reserve(10));
}

TEST(SlotBudget, IsNotOverdrawnByNumbersThatWrap) {
  process::SlotBudget sut;
  sut.set_max_bytes(100);
  ASSERT_TRUE(sut.reserve(50));
  EXPECT_FALSE(sut.reserve(UINT64_MAX - 10));
}

TEST(SlotBudget, KeepsAPartForEachWorker) {
  process::SlotBudget sut;
  sut.set_max_bytes(100);
  sut.join(0);
  sut.join(1);
  sut.guess_result(20);
  EXPECT_FALSE(sut.reserve(61));
  EXPECT_FALSE(sut.has_room_for(61));
  EXPECT_TRUE(sut.reserve(60));
  EXPECT_TRUE(sut.reserve_result(0, 20));
  sut.on_free(0, 20);
  EXPECT_FALSE(sut.has_room_for_result(0, 20)) << "the rest is for worker 1";
  EXPECT_FALSE(sut.reserve_result(0, 20));
  EXPECT_EQ(sut.least_for_result(0, 20), 120U);
  EXPECT_TRUE(sut.reserve_result(1, 20));
  sut.on_free(1, 20);
  EXPECT_EQ(sut.level(), 100U);
}

TEST(SlotBudget, RefusesTheFirstResultIfNotAllWorkersCouldHaveOne) {
  process::SlotBudget sut;
  sut.set_max_bytes(100);
  sut.join(0);
  sut.join(1);
  EXPECT_FALSE(sut.reserve_result(0, 51));
  EXPECT_EQ(sut.least_for_result(0, 51), 102U);
  EXPECT_FALSE(sut.reserve_result(0, UINT64_MAX));
  EXPECT_TRUE(sut.reserve_result(0, 50));
}

// What has grown in mid-stream goes on for as long as it can.
TEST(SlotBudget, GivesAWorkerWithoutASlotWhatThereIs) {
  process::SlotBudget sut;
  sut.set_max_bytes(100);
  sut.join(0);
  sut.join(1);
  ASSERT_TRUE(sut.reserve_result(0, 10));
  sut.on_free(0, 10);
  sut.on_used(0, 10);
  EXPECT_TRUE(sut.reserve_result(0, 90));
}

// The rest is the application's.
TEST(SlotBudget, TakesAQuarterOfTheFilesOfTheProcess) {
  const OpenFilesLimit limit(80);
  process::SlotBudget sut;
  process::SlotBudget another;
  for (int i = 0; i < 12; ++i) EXPECT_TRUE(sut.reserve(1)) << i;
  EXPECT_FALSE(sut.leaves_half(1));
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(another.reserve(1)) << i;
  for (process::SlotBudget* each : {&sut, &another}) {
    EXPECT_FALSE(each->reserve(1));
    EXPECT_FALSE(each->reserve_result(0, 1));
    EXPECT_FALSE(each->has_room_for(0));
    EXPECT_FALSE(each->has_room_for_result(0, 0));
    EXPECT_TRUE(each->lacks_files());
  }
  another.give_back(1);
  EXPECT_TRUE(sut.has_room_for(1, 1));
  EXPECT_FALSE(sut.has_room_for(1, 2));
  EXPECT_TRUE(sut.reserve(1));
  for (int i = 0; i < 13; ++i) sut.give_back(1);
  for (int i = 0; i < 7; ++i) another.give_back(1);
  EXPECT_TRUE(sut.leaves_half(1));
  EXPECT_EQ(sut.level(), 0U);
}

TEST(SlotBudget, KeepsAFileForEachWorker) {
  const OpenFilesLimit limit(40);
  process::SlotBudget sut;
  sut.join(0);
  sut.join(1);
  EXPECT_FALSE(sut.exceeds_files(8));
  EXPECT_TRUE(sut.exceeds_files(9));
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(sut.reserve(1)) << i;
  EXPECT_FALSE(sut.reserve(1));
  EXPECT_TRUE(sut.reserve_result(0, 1));
  sut.on_free(0, 1);
  EXPECT_FALSE(sut.reserve_result(0, 1)) << "the last one is for worker 1";
  EXPECT_TRUE(sut.reserve_result(1, 1));
  for (int i = 0; i < 10; ++i) sut.give_back(1);
}

// Also those of parts of them.
TEST(SlotBudget, GivesFilesBackWithTheSlots) {
  const OpenFilesLimit limit(80);
  SlotStore store;
  for (int round = 0; round < 3; ++round) {
    std::vector<MemoryPtr> slots;
    for (int i = 0; i < 9; ++i) {
      slots.push_back(alloc(store, 1));
      EXPECT_NE(file_id(slots.back().get()), 0U) << round << i;
      slots.emplace_back(gst_memory_share(slots.back().get(), 0, 1));
    }
    slots.clear();
    store.drop_unused();
    EXPECT_TRUE(store.budget().has_room_for(1, 20));
    EXPECT_FALSE(store.budget().has_room_for(1, 21));
  }
}

// ---- One slot --------------------------------------------------------------

TEST(Slot, CanOnlyBeReadByOthers) {
  SlotStore sut;
  const MemoryPtr memory = alloc(sut, 5000);
  const int fd = fd_of(memory.get());
  EXPECT_FALSE(can_be_written(fd, kPage));
  EXPECT_TRUE(holds_in_child([&] {
    const os::UniqueFd own = opened_again(fd);
    return !can_be_written(fd, kPage) && own &&
           !can_be_written(own.get(), kPage) &&
           pwrite(own.get(), "x", 1, 0) < 0;
  }));
}

TEST(Slot, KeepsItsSizeWhateverOthersDo) {
  SlotStore sut;
  const MemoryPtr memory = alloc(sut, 5000);
  const int fd = fd_of(memory.get());
  EXPECT_EQ(os::size_of(fd), 2 * kPage);
  // A reader that trusted the size would get a SIGBUS.
  EXPECT_TRUE(holds_in_child([&] {
    const auto* const data = static_cast<const volatile char*>(
        mmap(nullptr, 2 * kPage, PROT_READ, MAP_SHARED, fd, 0));
    return ftruncate(fd, 0) != 0 && ftruncate(fd, 3 * kPage) != 0 &&
           fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                     2 * kPage) != 0 &&
           data != MAP_FAILED && data[2 * kPage - 1] == 0;
  }));
}

TEST(Slot, ShowsReadersWhatIsWrittenAfterItsSealing) {
  SlotStore sut;
  const MemoryPtr memory = alloc(sut, 5000);
  const int fd = fd_of(memory.get());
  auto* const seen = static_cast<const std::uint8_t*>(
      mmap(nullptr, 2 * kPage, PROT_READ, MAP_SHARED, fd, 0));
  ASSERT_NE(seen, MAP_FAILED);
  for (const std::uint8_t value : {1, 2, 3}) {
    fill(memory.get(), value);
    EXPECT_EQ(seen[4999], value);
  }
  munmap(const_cast<std::uint8_t*>(seen), 2 * kPage);
}

TEST(Slot, StaysMappedAtOnePlace) {
  SlotStore sut;
  const MemoryPtr memory = alloc(sut, 5000);
  const gpointer place = address_of(memory.get(), GST_MAP_READ);
  EXPECT_EQ(address_of(memory.get(), GST_MAP_WRITE), place);
  EXPECT_EQ(address_of(memory.get(), GST_MAP_READWRITE), place);
  const MemoryPtr part(gst_memory_share(memory.get(), 100, 50));
  EXPECT_EQ(address_of(part.get(), GST_MAP_READ),
            static_cast<guint8*>(place) + 100);
}

TEST(Slot, HasAllItsPagesBeforeItIsUsed) {
  SlotStore sut;
  const MemoryPtr memory = alloc(sut, pages(64));
  const auto first =
      reinterpret_cast<std::uintptr_t>(address_of(memory.get(), GST_MAP_WRITE));
  const os::UniqueFd pagemap(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(bool(pagemap));
  for (std::uint64_t page = 0; page < 64; ++page) {
    std::uint64_t entry = 0;
    const auto place = static_cast<off_t>((first / kPage + page) * 8);
    ASSERT_EQ(pread(pagemap.get(), &entry, 8, place), 8);
    EXPECT_NE(entry >> 63, 0U) << "page " << page;
  }
}

TEST(Slot, HasALittleMemoryBehindEachFrame) {
  SlotStore sut;
  EXPECT_EQ(alloc(sut, 2 * kPage)->maxsize, 3 * kPage);
  EXPECT_EQ(alloc(sut, 3 * kPage - 1)->maxsize, 4 * kPage);
  EXPECT_EQ(alloc(sut, 4 * kPage - process::kSpareBytes)->maxsize, 4 * kPage);
}

TEST(Slot, CountsInWholePagesUntilItIsGone) {
  SlotStore sut;
  const process::SlotBudget budget = sut.budget();
  MemoryPtr memory = alloc(sut, 5000);
  MemoryPtr part(gst_memory_share(memory.get(), 10, 20));
  EXPECT_EQ(budget.level(), 2 * kPage);
  memory.reset();
  EXPECT_EQ(budget.level(), 2 * kPage);
  sut.drop_unused();
  EXPECT_EQ(budget.level(), 2 * kPage) << "a part of it is in use";
  part.reset();
  EXPECT_EQ(budget.level(), 0U);
}

TEST(Slot, HasThePlaceAroundTheFrameThatIsAskedFor) {
  SlotStore sut;
  GstAllocationParams params{};
  params.flags = static_cast<GstMemoryFlags>(GST_MEMORY_FLAG_ZERO_PREFIXED |
                                             GST_MEMORY_FLAG_ZERO_PADDED);
  params.align = 63;
  params.prefix = 128;
  params.padding = 4000;
  fill(alloc(sut, pages(2)).get(), 0xff);  // and let go of
  const MemoryPtr memory = alloc(sut, 1000, params);
  EXPECT_EQ(memory->size, 1000U);
  EXPECT_EQ(memory->offset, 128U);
  EXPECT_GE(memory->maxsize, 128U + 1000U + 4000U);
  EXPECT_TRUE(GST_MEMORY_IS_ZERO_PREFIXED(memory.get()));
  GstMapInfo map;
  ASSERT_TRUE(gst_memory_map(memory.get(), &map, GST_MAP_READ));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(map.data) % 64, 0U);
  EXPECT_EQ(map.data[-1], 0);
  EXPECT_EQ(map.data[0], 0xff) << "used before: nobody asked for zeros here";
  EXPECT_EQ(map.data[1000], 0);
  EXPECT_EQ(map.data[1000 + 3999], 0);
  gst_memory_unmap(memory.get(), &map);
}

TEST(Slot, IsCopiedLikeOtherMemory) {
  SlotStore sut;
  BufferPtr original = buffer_of(alloc(sut, 5000));
  gst_buffer_memset(original.get(), 0, 7, 5000);
  const BufferPtr shallow(gst_buffer_copy(original.get()));
  const BufferPtr deep(gst_buffer_copy_deep(original.get()));
  const BufferPtr region(
      gst_buffer_copy_region(original.get(), GST_BUFFER_COPY_ALL, 4000, 1000));
  EXPECT_EQ(file_id(shallow.get()), file_id(original.get()));
  EXPECT_EQ(file_id(region.get()), file_id(original.get()));
  EXPECT_EQ(gst_buffer_peek_memory(region.get(), 0)->offset, 4000U);
  EXPECT_NE(file_id(deep.get()), file_id(original.get()));
  EXPECT_NE(file_id(deep.get()), 0U) << "the copy is in a slot as well";
  EXPECT_EQ(first_byte(gst_buffer_peek_memory(deep.get(), 0)), 7);
  EXPECT_EQ(first_byte(gst_buffer_peek_memory(region.get(), 0)), 7);
  // Nobody writes into what someone else reads.
  GstMapInfo map;
  BufferPtr writer(gst_buffer_make_writable(gst_buffer_copy(original.get())));
  ASSERT_TRUE(gst_buffer_map(writer.get(), &map, GST_MAP_WRITE));
  std::memset(map.data, 9, map.size);
  gst_buffer_unmap(writer.get(), &map);
  EXPECT_EQ(first_byte(gst_buffer_peek_memory(original.get(), 0)), 7);
}

TEST(Slot, IsOfTheClassThatIsSet) {
  SlotStore sut;
  const MemoryPtr read_only = alloc(sut, 1000);
  EXPECT_EQ(shared_file_of(read_only.get())->slot_class, SlotClass::kInput);
  { const MemoryPtr unused = alloc(sut, 1000); }
  sut.set_input_class(SlotClass::kInPlace);
  const MemoryPtr in_place = alloc(sut, 1000);
  EXPECT_EQ(shared_file_of(in_place.get())->slot_class, SlotClass::kInPlace);
  EXPECT_TRUE(can_be_written(fd_of(in_place.get()), kPage));
  EXPECT_NE(ftruncate(fd_of(in_place.get()), 0), 0);
}

TEST(Slot, IsCopiedToPlainMemoryBeyondTheBound) {
  SlotStore sut;
  sut.budget().set_max_bytes(2 * kPage);
  const BufferPtr original = buffer_of(alloc(sut, pages(1)));
  gst_buffer_memset(original.get(), 0, 7, pages(1));
  const BufferPtr copy(gst_buffer_copy_deep(original.get()));
  EXPECT_EQ(file_id(copy.get()), 0U);
  EXPECT_EQ(first_byte(gst_buffer_peek_memory(copy.get(), 0)), 7);
}

TEST(Slot, BeyondTheBoundIsPlainMemory) {
  SlotStore sut;
  sut.budget().set_max_bytes(4 * kPage);
  const MemoryPtr first = alloc(sut, pages(2));
  EXPECT_NE(file_id(first.get()), 0U);
  // The other half is for results and copies.
  const MemoryPtr second = alloc(sut, pages(2));
  ASSERT_TRUE(second);
  EXPECT_EQ(file_id(second.get()), 0U);
  EXPECT_EQ(second->size, pages(2));
  EXPECT_EQ(sut.budget().level(), 2 * kPage);
}

TEST(Slot, OfHugePagesIsSealedAndCountedLikeOthers) {
  constexpr std::uint64_t kHuge = 512 * kPage;
  if (!os::create_memfd("test", kHuge, os::Pages::kHuge))
    GTEST_SKIP() << "no huge pages are reserved";
  SlotStore sut;
  sut.set_pages(os::Pages::kHuge);
  const MemoryPtr memory = alloc(sut, 1000);
  EXPECT_EQ(sut.budget().level(), kHuge);
  EXPECT_EQ(shared_file_of(memory.get())->bytes, kHuge);
  fill(memory.get(), 1);
  EXPECT_FALSE(can_be_written(fd_of(memory.get()), kHuge));
  EXPECT_NE(ftruncate(fd_of(memory.get()), 0), 0);
}

;

TEST(Slot, WithoutADescriptorIsPlainMemory) {
  SlotStore sut;
  const OpenFilesLimit none(OpenFilesLimit::all_in_use());
  const MemoryPtr memory = alloc(sut, 1000);
  ASSERT_TRUE(memory);
  EXPECT_EQ(file_id(memory.get()), 0U);
  os::Error why;
  EXPECT_FALSE(sut.make_result_slot(
      0, 1000, [] {}, why));
  EXPECT_NE(why.text().find("Too many open files"), std::string::npos)
      << why.text();
  std::uint64_t copied = 0;
  why = {};
  EXPECT_FALSE(sut.bring_in(plain_buffer(1000, 1), copied, &why));
  EXPECT_NE(why.text().find("Too many open files"), std::string::npos)
      << why.text();
  EXPECT_EQ(sut.budget().level(), 0U);
}

TEST(Slot, IsUsedAgainByTheNextOne) {
  SlotStore sut;
  std::set<std::uint64_t> files;
  for (int i = 0; i < 100; ++i) files.insert(file_id(alloc(sut, 5000).get()));
  EXPECT_EQ(files.size(), 1U);
  EXPECT_EQ(sut.budget().level(), 2 * kPage);
}

TEST(Slot, OfFramesOfAllSizesAreNoMoreThanAreInUse) {
  SlotStore sut;
  constexpr std::uint64_t kMost = 20 * kPage;
  std::uint64_t size = 1;
  std::vector<MemoryPtr> in_use(3);
  for (int i = 0; i < 300; ++i) {
    size = (size * 7919) % kMost + 1;
    in_use[i % 3].reset();
    in_use[i % 3] = alloc(sut, size);
    EXPECT_LE(sut.budget().level(), 3 * kMost);
  }
}

TEST(Slot, OutlivesItsStore) {
  auto store = std::make_unique<SlotStore>();
  const process::SlotBudget budget = store->budget();
  const ObjectPtr<GstAllocator> allocator =
      stage::share_object(store->allocator());
  MemoryPtr memory = alloc(*store, 1000);
  store.reset();
  fill(memory.get(), 1);
  MemoryPtr later(gst_allocator_alloc(allocator.get(), 1000, nullptr));
  EXPECT_NE(file_id(later.get()), 0U);
  memory.reset();
  EXPECT_EQ(budget.level(), kPage);
}

// ---- Shared files ----------------------------------------------------------

TEST(SharedFile, IsTheSameForAllMemoriesOfAFile) {
  const os::UniqueFd fd = foreign_file(2 * kPage);
  const MemoryPtr one = fd_memory(os::UniqueFd::duplicate(fd.get()), 2 * kPage);
  const MemoryPtr other =
      fd_memory(os::UniqueFd::duplicate(fd.get()), 2 * kPage);
  const MemoryPtr part(gst_memory_share(other.get(), kPage, 100));
  const auto file = shared_file_of(one.get());
  ASSERT_TRUE(file);
  EXPECT_EQ(file->bytes, 2 * kPage);
  EXPECT_EQ(file->slot_class, SlotClass::kInput);
  EXPECT_EQ(file->file, os::identity_of(fd.get()));
  EXPECT_EQ(file_id(other.get()), file->id);
  EXPECT_EQ(file_id(part.get()), file->id);
}

TEST(SharedFile, IsKnownAgainWhenItComesAgain) {
  const os::UniqueFd fd = foreign_file(kPage);
  const auto id_of_next = [&] {
    return file_id(fd_memory(os::UniqueFd::duplicate(fd.get()), kPage).get());
  };
  const std::uint64_t id = id_of_next();
  EXPECT_NE(id, 0U);
  // A pool of 60 buffers in another process.
  std::vector<os::UniqueFd> pool;
  for (int i = 0; i < 60; ++i) {
    pool.push_back(foreign_file(kPage));
    file_id(fd_memory(os::UniqueFd::duplicate(pool.back().get()), kPage).get());
  }
  EXPECT_EQ(id_of_next(), id);
  // But not for ever.
  for (int i = 0; i < 70; ++i)
    file_id(fd_memory(foreign_file(kPage), kPage).get());
  EXPECT_NE(id_of_next(), id);
}

class Mourner final : public process::FileWatcher {
 public:
  void on_file_gone(std::uint64_t id) override { gone.push_back(id); }
  std::vector<std::uint64_t> gone;
};

TEST(SharedFile, IsMournedOnceByThoseWhoWatch) {
  const auto watcher = std::make_shared<Mourner>();
  auto former = std::make_shared<Mourner>();
  process::watch_files(watcher);
  process::watch_files(former);
  former.reset();
  SlotStore store;
  MemoryPtr memory = alloc(store, 1000);
  const std::uint64_t id = file_id(memory.get());
  MemoryPtr part(gst_memory_share(memory.get(), 0, 10));
  memory.reset();
  store.drop_unused();
  const auto is_told = [&] {
    return std::count(watcher->gone.begin(), watcher->gone.end(), id);
  };
  EXPECT_EQ(is_told(), 0) << "a part of it is here";
  EXPECT_EQ(file_id(part.get()), id);
  part.reset();
  EXPECT_EQ(is_told(), 1);
}

TEST(SharedFile, IsForgottenWithWhatIsUnused) {
  const os::UniqueFd fd = foreign_file(kPage);
  std::weak_ptr<const process::SharedFile> file;
  {
    const MemoryPtr memory =
        fd_memory(os::UniqueFd::duplicate(fd.get()), kPage);
    file = shared_file_of(memory.get());
    SlotStore().drop_unused();
    EXPECT_FALSE(file.expired());
  }
  EXPECT_TRUE(file.expired());
}

TEST(SharedFile, IsTheSlotAgainBehindAForeignMemory) {
  SlotStore store;
  const MemoryPtr slot = alloc(store, 1000);
  const MemoryPtr memory =
      fd_memory(os::UniqueFd::duplicate(fd_of(slot.get())), kPage);
  EXPECT_EQ(file_id(memory.get()), file_id(slot.get()));
}

TEST(SharedFile, IsNoneOfMemoryThatCannotBeMappedForGood) {
  EXPECT_EQ(file_id(plain_memory(100).get()), 0U);
  EXPECT_EQ(file_id(fd_memory(foreign_file(kPage, false), kPage).get()), 0U)
      << "it may shrink";
  EXPECT_EQ(file_id(fd_memory(foreign_file(kPage), 2 * kPage).get()), 0U)
      << "it is smaller than its memory says";
  os::UniqueFd on_disk(open("/tmp", O_TMPFILE | O_RDWR, 0600));
  ASSERT_EQ(ftruncate(on_disk.get(), kPage), 0);
  EXPECT_EQ(file_id(fd_memory(std::move(on_disk), kPage).get()), 0U);
  const ObjectPtr<GstAllocator> allocator(gst_dmabuf_allocator_new());
  const MemoryPtr dma(gst_dmabuf_allocator_alloc(
      allocator.get(), foreign_file(kPage).release(), kPage));
  EXPECT_EQ(file_id(dma.get()), 0U) << "it wants to be synchronised";
}

TEST(SharedFile, IsMadeOnceByManyThreads) {
  constexpr int kThreads = 4;
  for (int round = 0; round < 200; ++round) {
    const MemoryPtr memory = fd_memory(foreign_file(kPage), kPage);
    std::latch start(kThreads);
    std::vector<std::future<std::uint64_t>> ids(kThreads);
    for (auto& id : ids)
      id = std::async(std::launch::async, [&] {
        start.arrive_and_wait();
        return file_id(memory.get());
      });
    std::set<std::uint64_t> different;
    for (auto& id : ids) different.insert(id.get());
    EXPECT_EQ(different.size(), 1U);
  }
}

// ---- The offer to upstream -------------------------------------------------

TEST(OfferedPool, HasItsBuffersWhenItIsOffered) {
  SlotStore sut;
  const QueryPtr query = allocation_query(kFrameCaps);
  auto offered = sut.offer_pool(query.get(), 5);
  ASSERT_TRUE(offered);
  EXPECT_TRUE(*offered);
  EXPECT_EQ(sut.budget().level(), 5 * kFrameSlot);
  const OfferedPool pool = pool_in(query.get());
  EXPECT_EQ(pool.size, kFrame);
  EXPECT_EQ(pool.min, 5U);
  EXPECT_EQ(pool.max, 0U);
  EXPECT_TRUE(gst_buffer_pool_has_option(pool.pool.get(),
                                         GST_BUFFER_POOL_OPTION_VIDEO_META));
  EXPECT_TRUE(gst_buffer_pool_has_option(
      pool.pool.get(), GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT));

  // No more is allocated, in the bound or beyond it.
  sut.budget().set_max_bytes(1);
  ASSERT_TRUE(gst_buffer_pool_set_active(pool.pool.get(), TRUE));
  std::vector<BufferPtr> buffers;
  for (int i = 0; i < 5; ++i) {
    buffers.push_back(acquire(pool.pool.get()));
    EXPECT_NE(file_id(buffers.back().get()), 0U);
  }
  EXPECT_EQ(sut.budget().level(), 5 * kFrameSlot);
}

TEST(OfferedPool, OfWhatCannotBeHadIsAnErrorThatSaysWhatWouldHelp) {
  SlotStore sut;
  sut.budget().set_max_bytes(5 * kFrameSlot - 1);
  const QueryPtr query = allocation_query(kFrameCaps);
  auto offered = sut.offer_pool(query.get(), 5);
  ASSERT_FALSE(offered);
  const std::string text = offered.error().text();
  EXPECT_NE(text.find("5 frames of 115200 bytes"), std::string::npos) << text;
  EXPECT_NE(text.find(std::to_string(5 * kFrameSlot) + " would do"),
            std::string::npos)
      << text;
  EXPECT_EQ(sut.budget().level(), 0U);
}

TEST(OfferedPool, OfMoreFilesThanThereMayBeIsAnErrorThatSaysSo) {
  const OpenFilesLimit limit(16);
  SlotStore sut;
  const QueryPtr query = allocation_query(kFrameCaps);
  auto offered = sut.offer_pool(query.get(), 5);
  ASSERT_FALSE(offered);
  EXPECT_EQ(offered.error().code, EMFILE);
  EXPECT_EQ(sut.budget().level(), 0U);
}

// Of smaller frames, before new caps.
TEST(OfferedPool, IsCompletedWhenFramesOfBeforeHaveGone) {
  SlotStore sut;
  sut.budget().set_max_bytes(5 * kFrameSlot);
  MemoryPtr before = alloc(sut, pages(1));
  const QueryPtr query = allocation_query(kFrameCaps);
  ASSERT_TRUE(sut.offer_pool(query.get(), 5));
  EXPECT_EQ(sut.budget().level(), 4 * kFrameSlot + kPage);
  before.reset();
  const OfferedPool pool = pool_in(query.get());
  gst_buffer_pool_set_active(pool.pool.get(), TRUE);
  std::vector<BufferPtr> buffers;
  for (int i = 0; i < 5; ++i) {
    buffers.push_back(acquire(pool.pool.get()));
    EXPECT_NE(file_id(buffers.back().get()), 0U) << i;
  }
  EXPECT_EQ(sut.budget().level(), 5 * kFrameSlot);
}

TEST(OfferedPool, IsNotThereWithoutCapsOrWithoutNeed) {
  SlotStore sut;
  const QueryPtr without_caps = allocation_query(nullptr);
  auto offered = sut.offer_pool(without_caps.get(), 5);
  ASSERT_TRUE(offered);
  EXPECT_FALSE(*offered);
  EXPECT_EQ(gst_query_get_n_allocation_pools(without_caps.get()), 0U);
  EXPECT_EQ(gst_query_get_n_allocation_params(without_caps.get()), 0U);

  const QueryPtr without_need = allocation_query(kFrameCaps, false);
  offered = sut.offer_pool(without_need.get(), 5);
  ASSERT_TRUE(offered);
  EXPECT_FALSE(*offered);
  EXPECT_EQ(sut.budget().level(), 0U);
}

// Compressed frames and sound have all sizes: there, the allocator is offered.
TEST(OfferedPool, IsAnAllocatorWhereSizesAreNotKnown) {
  SlotStore sut;
  const QueryPtr query = allocation_query("image/jpeg");
  auto offered = sut.offer_pool(query.get(), 5);
  ASSERT_TRUE(offered);
  EXPECT_FALSE(*offered);
  GstAllocator* allocator = nullptr;
  gst_query_parse_nth_allocation_param(query.get(), 0, &allocator, nullptr);
  EXPECT_EQ(ObjectPtr<GstAllocator>(allocator).get(), sut.allocator());
}

TEST(OfferedPool, OfCodedFramesOfAKnownSizeHasNoPlanes) {
  SlotStore sut;
  const QueryPtr query = allocation_query("image/jpeg,width=64,height=64");
  gst_query_add_allocation_pool(query.get(), nullptr, 5000, 0, 0);
  auto offered = sut.offer_pool(query.get(), 2);
  ASSERT_TRUE(offered);
  EXPECT_TRUE(*offered);
  const OfferedPool pool = pool_in(query.get());
  EXPECT_EQ(pool.size, 5000U);
  EXPECT_FALSE(gst_buffer_pool_has_option(pool.pool.get(),
                                          GST_BUFFER_POOL_OPTION_VIDEO_META));
  gst_buffer_pool_set_active(pool.pool.get(), TRUE);
  EXPECT_NE(file_id(acquire(pool.pool.get()).get()), 0U);
  gst_buffer_pool_set_active(pool.pool.get(), FALSE);
}

TEST(OfferedPool, ComesInFrontAndGivesWhatTheOthersAskFor) {
  SlotStore sut;
  const QueryPtr query = allocation_query(kFrameCaps);
  GstAllocationParams params{};
  params.align = 31;
  params.prefix = 64;
  params.padding = 100;
  gst_query_add_allocation_param(query.get(), nullptr, &params);
  gst_query_add_allocation_pool(query.get(), nullptr, 200000, 7, 9);
  ASSERT_TRUE(sut.offer_pool(query.get(), 3));

  EXPECT_EQ(gst_query_get_n_allocation_pools(query.get()), 2U);
  const OfferedPool pool = pool_in(query.get());
  EXPECT_EQ(pool.size, 200000U);
  EXPECT_EQ(pool.min, 7U);
  const OfferedPool other = pool_in(query.get(), 1);
  EXPECT_EQ(other.size, 200000U);
  EXPECT_EQ(other.max, 9U);
  gst_buffer_pool_set_active(pool.pool.get(), TRUE);
  const BufferPtr buffer = acquire(pool.pool.get());
  GstMemory* const memory = gst_buffer_peek_memory(buffer.get(), 0);
  EXPECT_EQ(memory->offset, 64U);
  EXPECT_EQ(memory->align, 31U);
  EXPECT_GE(memory->maxsize, 200164U);
}

// Who asks again gets a new pool, and gives the old one up afterwards.
TEST(OfferedPool, TakesOverFromTheOneBefore) {
  SlotStore sut;
  sut.budget().set_max_bytes(5 * kFrameSlot);
  ObjectPtr<GstBufferPool> before;
  std::set<std::uint64_t> files;
  for (int i = 0; i < 20; ++i) {
    const QueryPtr query = allocation_query(kFrameCaps);
    auto offered = sut.offer_pool(query.get(), 5);
    ASSERT_TRUE(offered) << offered.error().text();
    OfferedPool pool = pool_in(query.get());
    gst_buffer_pool_set_active(pool.pool.get(), TRUE);
    if (before) gst_buffer_pool_set_active(before.get(), FALSE);
    std::vector<BufferPtr> buffers;
    for (int k = 0; k < 5; ++k) {
      buffers.push_back(acquire(pool.pool.get()));
      files.insert(file_id(buffers.back().get()));
    }
    before = std::move(pool.pool);
  }
  EXPECT_EQ(files.size(), 5U);
  EXPECT_EQ(files.count(0), 0U);
  gst_buffer_pool_set_active(before.get(), FALSE);
}

TEST(OfferedPool, HasPlainBuffersBeyondTheBoundAndForgetsThem) {
  SlotStore sut;
  sut.budget().set_max_bytes(4 * kFrameSlot);
  const QueryPtr query = allocation_query(kFrameCaps);
  ASSERT_TRUE(sut.offer_pool(query.get(), 2));
  const OfferedPool pool = pool_in(query.get());
  gst_buffer_pool_set_active(pool.pool.get(), TRUE);
  {
    std::vector<BufferPtr> buffers(6);
    for (BufferPtr& buffer : buffers) buffer = acquire(pool.pool.get());
    EXPECT_NE(file_id(buffers[1].get()), 0U);
    EXPECT_EQ(file_id(buffers[5].get()), 0U);
    EXPECT_EQ(gst_buffer_get_size(buffers[5].get()), kFrame);
  }
  for (int i = 0; i < 20; ++i)
    EXPECT_NE(file_id(acquire(pool.pool.get()).get()), 0U);
  gst_buffer_pool_set_active(pool.pool.get(), FALSE);
}

TEST(OfferedPool, OfAnotherSizeReplacesTheSlotsOfTheLast) {
  SlotStore sut;
  ASSERT_TRUE(sut.offer_pool(allocation_query(kFrameCaps).get(), 5));
  const QueryPtr query =
      allocation_query("video/x-raw,format=I420,width=640,height=480");
  ASSERT_TRUE(sut.offer_pool(query.get(), 5));
  EXPECT_EQ(sut.budget().level(), 565 * kPage);
}

TEST(OfferedPool, DropsWhatNobodyUses) {
  SlotStore sut;
  const QueryPtr query = allocation_query(kFrameCaps);
  ASSERT_TRUE(sut.offer_pool(query.get(), 5));
  const OfferedPool pool = pool_in(query.get());
  gst_buffer_pool_set_active(pool.pool.get(), TRUE);
  BufferPtr buffer = acquire(pool.pool.get());
  sut.drop_unused();
  EXPECT_EQ(sut.budget().level(), kFrameSlot);
  gst_buffer_pool_set_active(pool.pool.get(), FALSE);
  buffer.reset();
  EXPECT_EQ(sut.budget().level(), 0U) << "it does not wait to be used again";
}

// ---- The offer to real elements --------------------------------------------

// The frames that come to a sink whose pad offers slots as the element does.
class SlotSink {
 public:
  SlotSink(const std::string& upstream, unsigned min_buffers)
      : pipeline_(upstream + " ! fakesink name=out"),
        pad_(pipeline_.pad("out", "sink")),
        min_buffers_(min_buffers) {
    gst_pad_add_probe(
        pad_.get(),
        static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM |
                                     GST_PAD_PROBE_TYPE_PUSH |
                                     GST_PAD_PROBE_TYPE_BUFFER),
        [](GstPad*, GstPadProbeInfo* info, gpointer self) {
          return static_cast<SlotSink*>(self)->probe(info);
        },
        this, nullptr);
  }

  void run() { ASSERT_TRUE(pipeline_.run_to_eos()) << pipeline_.error(); }

  SlotStore store;
  std::vector<std::uint64_t> files;  // of each buffer; 0: none
  std::vector<gsize> sizes;          // of the memory
  std::vector<gint> strides;         // of the first plane; 0: unknown
  std::uint64_t highest_level = 0;
  std::string error;

 private:
  GstPadProbeReturn probe(GstPadProbeInfo* info) {
    if ((GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_BUFFER) != 0) {
      see(GST_PAD_PROBE_INFO_BUFFER(info));
      return GST_PAD_PROBE_OK;
    }
    GstQuery* const query = GST_PAD_PROBE_INFO_QUERY(info);
    if (GST_QUERY_TYPE(query) != GST_QUERY_ALLOCATION) return GST_PAD_PROBE_OK;
    gst_query_add_allocation_meta(query, GST_VIDEO_META_API_TYPE, nullptr);
    auto offered = store.offer_pool(query, min_buffers_);
    if (!offered) error = offered.error().text();
    return GST_PAD_PROBE_HANDLED;
  }

  void see(GstBuffer* buffer) {
    GstMemory* const memory = gst_buffer_peek_memory(buffer, 0);
    const GstVideoMeta* const meta = gst_buffer_get_video_meta(buffer);
    highest_level = std::max(highest_level, store.budget().level());
    files.push_back(gst_buffer_n_memory(buffer) == 1 ? file_id(memory) : 0);
    sizes.push_back(memory->maxsize);
    strides.push_back(meta != nullptr ? meta->stride[0] : 0);
  }

  Pipeline pipeline_;
  const PadPtr pad_;
  const unsigned min_buffers_;
};

std::set<std::uint64_t> different(const std::vector<std::uint64_t>& files) {
  return {files.begin(), files.end()};
}

TEST(SlotsFromUpstream, VideotestsrcWritesIntoThem) {
  SlotSink sut(std::string("videotestsrc num-buffers=50 ! ") + kFrameCaps, 3);
  sut.run();
  EXPECT_EQ(sut.files.size(), 50U);
  EXPECT_EQ(different(sut.files).count(0), 0U);
  EXPECT_LE(different(sut.files).size(), 3U);
  EXPECT_EQ(sut.store.budget().level(), 3 * kFrameSlot);
}

TEST(SlotsFromUpstream, AudiotestsrcWritesIntoThem) {
  SlotSink sut("audiotestsrc num-buffers=50", 3);
  sut.run();
  EXPECT_EQ(sut.files.size(), 50U);
  EXPECT_EQ(different(sut.files).count(0), 0U);
  EXPECT_LE(different(sut.files).size(), 3U);
}

TEST(SlotsFromUpstream, JpegdecDecodesIntoThem) {
  SlotSink sut(
      "videotestsrc num-buffers=20 ! video/x-raw,width=1280,height="
      "720 ! jpegenc ! jpegdec",
      4);
  sut.run();
  EXPECT_EQ(sut.files.size(), 20U);
  EXPECT_EQ(different(sut.files).count(0), 0U);
  EXPECT_LE(different(sut.files).size(), 4U);
}

// Its frames have more lines than their caps say (3144960 bytes, not 3110400),
// and it keeps references.
TEST(SlotsFromUpstream, AvdecH264DecodesIntoThem) {
  SlotSink sut(
      "videotestsrc num-buffers=30 ! video/x-raw,format=I420,width="
      "1920,height=1080 ! x264enc speed-preset=ultrafast "
      "key-int-max=30 ! h264parse ! avdec_h264",
      5);
  sut.run();
  EXPECT_EQ(sut.files.size(), 30U);
  EXPECT_EQ(different(sut.files).count(0), 0U);
  for (const gsize size : sut.sizes) EXPECT_GE(size, 3144960U);
  for (const gint stride : sut.strides) EXPECT_EQ(stride, 1920);
}

// What it asks for beyond the bound it gets as plain memory.
TEST(SlotsFromUpstream, AvdecH264GoesOnBeyondTheBound) {
  SlotSink sut(
      "videotestsrc num-buffers=30 ! "
      "video/x-raw,format=I420,width=320,height=240 ! "
      "x264enc speed-preset=ultrafast ! h264parse ! avdec_h264",
      3);
  sut.store.budget().set_max_bytes(3 * kFrameSlot);
  sut.run();
  EXPECT_EQ(sut.error, "");
  EXPECT_EQ(sut.files.size(), 30U);
  EXPECT_LE(sut.highest_level, 3 * kFrameSlot);
}

// From the allocator alone.
TEST(SlotsFromUpstream, AlawencWritesItsOutputIntoThem) {
  SlotSink sut("audiotestsrc num-buffers=50 ! alawenc", 3);
  sut.run();
  EXPECT_EQ(sut.files.size(), 50U);
  EXPECT_EQ(different(sut.files).count(0), 0U);
  EXPECT_LE(different(sut.files).size(), 3U);
}

TEST(SlotsFromUpstream, VideoconvertWritesIntoThem) {
  SlotSink sut(std::string("videotestsrc num-buffers=30 ! video/x-raw,format="
                           "RGB,width=320,height=240 ! videoconvert ! ") +
                   kFrameCaps,
               3);
  sut.run();
  EXPECT_EQ(sut.files.size(), 30U);
  EXPECT_EQ(different(sut.files).count(0), 0U);
}

// ---- Bringing in -----------------------------------------------------------

TEST(BringIn, LeavesAloneWhatIsInSlots) {
  SlotStore sut;
  BufferPtr buffer = buffer_of(alloc(sut, 1000));
  gst_buffer_append_memory(buffer.get(),
                           fd_memory(foreign_file(kPage), kPage).release());
  GstBuffer* const before = buffer.get();
  std::uint64_t copied = 1;
  buffer = sut.bring_in(std::move(buffer), copied);
  EXPECT_EQ(buffer.get(), before);
  EXPECT_EQ(copied, 0U);
}

TEST(BringIn, LeavesAloneABufferOfNothing) {
  SlotStore sut;
  std::uint64_t copied = 1;
  EXPECT_TRUE(sut.bring_in(BufferPtr(gst_buffer_new()), copied));
  EXPECT_EQ(copied, 0U);
}

TEST(BringIn, KeepsAllThatABufferHas) {
  SlotStore sut;
  BufferPtr original = plain_buffer(1000, 1);
  gst_buffer_append_memory(original.get(), plain_memory(500).release());
  gst_buffer_memset(original.get(), 1000, 2, 500);
  GST_BUFFER_PTS(original.get()) = 11;
  GST_BUFFER_DTS(original.get()) = 12;
  GST_BUFFER_DURATION(original.get()) = 13;
  GST_BUFFER_OFFSET(original.get()) = 14;
  GST_BUFFER_OFFSET_END(original.get()) = 15;
  GST_BUFFER_FLAG_SET(original.get(), GST_BUFFER_FLAG_MARKER);
  gsize offsets[GST_VIDEO_MAX_PLANES] = {0, 1000, 1250, 0};
  gint strides[GST_VIDEO_MAX_PLANES] = {40, 20, 20, 0};
  gst_buffer_add_video_meta_full(original.get(), GST_VIDEO_FRAME_FLAG_NONE,
                                 GST_VIDEO_FORMAT_I420, 38, 25, 3, offsets,
                                 strides);
  gst_buffer_add_video_region_of_interest_meta(original.get(), "face", 1, 2, 3,
                                               4);
  BufferPtr held = plain_buffer(1, 0);
  gst_buffer_add_parent_buffer_meta(original.get(), held.get());

  std::uint64_t copied = 0;
  const BufferPtr copy = sut.bring_in(stage::share(original.get()), copied);
  ASSERT_TRUE(copy);
  EXPECT_EQ(copied, 1500U);
  EXPECT_EQ(gst_buffer_n_memory(copy.get()), 1U);
  EXPECT_NE(file_id(copy.get()), 0U);
  GstMapInfo map;
  ASSERT_TRUE(gst_buffer_map(copy.get(), &map, GST_MAP_READ));
  EXPECT_EQ(map.size, 1500U);
  EXPECT_EQ(map.data[999], 1);
  EXPECT_EQ(map.data[1000], 2);
  gst_buffer_unmap(copy.get(), &map);
  EXPECT_EQ(GST_BUFFER_PTS(copy.get()), 11U);
  EXPECT_EQ(GST_BUFFER_DTS(copy.get()), 12U);
  EXPECT_EQ(GST_BUFFER_DURATION(copy.get()), 13U);
  EXPECT_EQ(GST_BUFFER_OFFSET(copy.get()), 14U);
  EXPECT_EQ(GST_BUFFER_OFFSET_END(copy.get()), 15U);
  EXPECT_TRUE(GST_BUFFER_FLAG_IS_SET(copy.get(), GST_BUFFER_FLAG_MARKER));
  const GstVideoMeta* const meta = gst_buffer_get_video_meta(copy.get());
  ASSERT_NE(meta, nullptr);
  EXPECT_EQ(meta->offset[2], 1250U);
  EXPECT_EQ(meta->stride[0], 40);
  EXPECT_NE(gst_buffer_get_video_region_of_interest_meta_id(copy.get(), 0),
            nullptr);
  EXPECT_EQ(gst_buffer_get_parent_buffer_meta(copy.get()), nullptr)
      << "the memory that it keeps alive is not this buffer's";
}

TEST(BringIn, UsesTheSameSlotsAgain) {
  SlotStore sut;
  std::set<std::uint64_t> files;
  BufferPtr before;
  for (int i = 0; i < 100; ++i) {
    std::uint64_t copied = 0;
    BufferPtr copy = sut.bring_in(plain_buffer(kFrame, 1), copied);
    ASSERT_TRUE(copy);
    files.insert(file_id(copy.get()));
    before = std::move(copy);
  }
  EXPECT_EQ(files.size(), 2U);
  EXPECT_EQ(sut.budget().level(), 2 * kFrameSlot);
}

TEST(BringIn, UsesWhatWasOfferedToUpstreamInVain) {
  SlotStore sut;
  sut.budget().set_max_bytes(3 * kFrameSlot);
  ASSERT_TRUE(sut.offer_pool(allocation_query(kFrameCaps).get(), 3));
  std::vector<BufferPtr> in_use(3);
  for (int i = 0; i < 30; ++i) {
    std::uint64_t copied = 0;
    in_use[i % 3].reset();
    in_use[i % 3] = sut.bring_in(plain_buffer(kFrame, 1), copied);
    ASSERT_TRUE(in_use[i % 3]);
  }
  EXPECT_EQ(sut.budget().level(), 3 * kFrameSlot);
}

TEST(BringIn, WaitsForASlotAtTheBound) {
  SlotStore sut;
  sut.budget().set_max_bytes(kFrameSlot);
  std::uint64_t copied = 0;
  BufferPtr first = sut.bring_in(plain_buffer(kFrame, 1), copied);
  const std::uint64_t file = file_id(first.get());
  auto second = std::async(std::launch::async, [&] {
    std::uint64_t bytes = 0;
    return sut.bring_in(plain_buffer(kFrame, 2), bytes);
  });
  first.reset();
  const BufferPtr copy = second.get();
  ASSERT_TRUE(copy);
  EXPECT_EQ(file_id(copy.get()), file);
  EXPECT_EQ(first_byte(gst_buffer_peek_memory(copy.get(), 0)), 2);
}

TEST(BringIn, WaitsForSmallerSlotsToMakeRoom) {
  SlotStore sut;
  sut.budget().set_max_bytes(4 * kPage);
  std::uint64_t copied = 0;
  std::vector<BufferPtr> small(4);
  for (BufferPtr& buffer : small)
    buffer = sut.bring_in(plain_buffer(pages(1), 1), copied);
  auto large = std::async(std::launch::async, [&] {
    std::uint64_t bytes = 0;
    return sut.bring_in(plain_buffer(pages(4), 2), bytes);
  });
  for (BufferPtr& buffer : small) buffer.reset();
  EXPECT_TRUE(large.get());
  EXPECT_EQ(sut.budget().level(), 4 * kPage);
}

TEST(BringIn, EndsItsWaitWhenInterrupted) {
  SlotStore sut;
  sut.budget().set_max_bytes(kFrameSlot);
  std::uint64_t copied = 0;
  const BufferPtr first = sut.bring_in(plain_buffer(kFrame, 1), copied);
  auto second = std::async(std::launch::async, [&] {
    std::uint64_t bytes = 0;
    return sut.bring_in(plain_buffer(kFrame, 2), bytes);
  });
  sut.interrupt(true);
  EXPECT_FALSE(second.get());
  EXPECT_FALSE(sut.bring_in(plain_buffer(kFrame, 3), copied));
  sut.drop_unused();
  EXPECT_FALSE(sut.bring_in(plain_buffer(kFrame, 3), copied));
  sut.interrupt(false);
  sut.budget().set_max_bytes(0);
  EXPECT_TRUE(sut.bring_in(plain_buffer(kFrame, 3), copied));
}

TEST(BringIn, EndsItsWaitForSlotsThatWillNotComeBack) {
  SlotStore sut;
  sut.budget().set_max_bytes(kFrameSlot);
  std::uint64_t copied = 0;
  const BufferPtr first = sut.bring_in(plain_buffer(kFrame, 1), copied);
  auto second = std::async(std::launch::async, [&] {
    std::uint64_t bytes = 0;
    return sut.bring_in(plain_buffer(kFrame, 2), bytes);
  });
  sut.drop_unused();
  EXPECT_FALSE(second.get());
}

TEST(BringIn, DoesNotWaitWhereNothingIsOut) {
  SlotStore sut;
  sut.budget().set_max_bytes(kPage);
  std::uint64_t copied = 1;
  os::Error why;
  EXPECT_FALSE(sut.bring_in(plain_buffer(kFrame, 1), copied, &why));
  EXPECT_EQ(copied, 0U);
  EXPECT_NE(why.text().find(std::to_string(kFrameSlot) + " would do"),
            std::string::npos)
      << why.text();
}

// ---- Out of them -----------------------------------------------------------

// Also where another slot waits: it would not be free.
TEST(OutOfSlots, IsPlainMemoryWithAllThatTheBufferHas) {
  SlotStore store;
  for (int i = 0; i < 2; ++i) (void)alloc(store, kFrame);
  MemoryPtr waits = alloc(store, kFrame);
  BufferPtr buffer(gst_buffer_new());
  gst_buffer_append_memory(buffer.get(), alloc(store, kFrame).release());
  gst_buffer_append_memory(buffer.get(),
                           gst_allocator_alloc(nullptr, 10, nullptr));
  waits.reset();
  gst_buffer_memset(buffer.get(), 0, 7, kFrame + 10);
  GST_BUFFER_PTS(buffer.get()) = 5;
  GST_BUFFER_FLAG_SET(buffer.get(), GST_BUFFER_FLAG_MARKER);
  gst_buffer_add_video_meta(buffer.get(), GST_VIDEO_FRAME_FLAG_NONE,
                            GST_VIDEO_FORMAT_I420, 320, 240);
  GstMemory* const plain = gst_buffer_peek_memory(buffer.get(), 1);

  const BufferPtr sut = process::out_of_slots(stage::share(buffer.get()));
  ASSERT_EQ(gst_buffer_n_memory(sut.get()), 2U);
  EXPECT_EQ(file_id(gst_buffer_peek_memory(sut.get(), 0)), 0U);
  EXPECT_EQ(gst_buffer_peek_memory(sut.get(), 1), plain) << "not in a slot";
  EXPECT_EQ(GST_BUFFER_PTS(sut.get()), 5U);
  EXPECT_TRUE(GST_BUFFER_FLAG_IS_SET(sut.get(), GST_BUFFER_FLAG_MARKER));
  EXPECT_NE(gst_buffer_get_video_meta(sut.get()), nullptr);
  EXPECT_EQ(gst_buffer_get_size(sut.get()), kFrame + 10);
  guint8 last = 0;
  gst_buffer_extract(sut.get(), kFrame - 1, &last, 1);
  EXPECT_EQ(last, 7);
}

TEST(OutOfSlots, IsTheSameBufferWhereNothingIsInThem) {
  const BufferPtr plain = plain_buffer(kFrame, 1);
  EXPECT_EQ(process::out_of_slots(stage::share(plain.get())), plain);
}

// ---- Result slots ----------------------------------------------------------

using ResultSlotPtr = std::unique_ptr<SlotStore::ResultSlot>;

ResultSlotPtr result_slot(
    SlotStore& store, std::uint64_t bytes,
    std::function<void()> on_released = [] {}) {
  os::Error why;
  ResultSlotPtr slot =
      store.make_result_slot(0, bytes, std::move(on_released), why);
  EXPECT_EQ(why.text(), "");
  return slot;
}

TEST(ResultSlot, IsWritableForItsWorkerAndKeepsItsSize) {
  SlotStore store;
  const ResultSlotPtr sut = result_slot(store, 5000);
  EXPECT_EQ(sut->bytes(), 2 * kPage);
  EXPECT_EQ(store.budget().level(), 2 * kPage);
  EXPECT_TRUE(holds_in_child([&] {
    auto* const data = static_cast<char*>(mmap(
        nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, sut->fd(), 0));
    if (data == MAP_FAILED || ftruncate(sut->fd(), 0) == 0) return false;
    data[5] = 42;
    return true;
  }));
  const MemoryPtr memory = sut->hand_out(5, 10);
  EXPECT_EQ(first_byte(memory.get()), 42);
  EXPECT_EQ(shared_file_of(memory.get())->slot_class, SlotClass::kResult);
}

TEST(ResultSlot, ComesBackAsNewFromItsLastUser) {
  SlotStore store;
  int released = 0;
  const ResultSlotPtr sut = result_slot(store, pages(2), [&] { ++released; });
  MemoryPtr memory = sut->hand_out(100, 50);
  GstMemory* const before = memory.get();
  EXPECT_EQ(memory->offset, 100U);
  EXPECT_EQ(memory->size, 50U);
  EXPECT_FALSE(sut->hand_out(0, 1)) << "it is out";
  GST_MINI_OBJECT_FLAG_SET(memory.get(), GST_MEMORY_FLAG_READONLY);
  MemoryPtr part(gst_memory_share(memory.get(), 10, 20));
  memory.reset();
  EXPECT_EQ(released, 0) << "a part of it is in use";
  part.reset();
  EXPECT_EQ(released, 1);

  memory = sut->hand_out(0, 2 * kPage);
  EXPECT_EQ(memory.get(), before);
  fill(memory.get(), 1);
  memory.reset();
  EXPECT_EQ(released, 2);
  EXPECT_EQ(store.budget().level(), 2 * kPage);
}

TEST(ResultSlot, HandsOutNoMoreThanItHas) {
  SlotStore store;
  const ResultSlotPtr sut = result_slot(store, pages(1));
  EXPECT_FALSE(sut->hand_out(0, kPage + 1));
  EXPECT_FALSE(sut->hand_out(kPage + 1, 0));
  EXPECT_FALSE(sut->hand_out(1, UINT64_MAX));
  EXPECT_FALSE(sut->hand_out(UINT64_MAX, 1));
  EXPECT_TRUE(sut->hand_out(kPage, 0));
}

TEST(ResultSlot, ThatIsDestroyedIsItsLastUsers) {
  SlotStore store;
  int released = 0;
  ResultSlotPtr sut = result_slot(store, pages(1), [&] { ++released; });
  MemoryPtr memory = sut->hand_out(0, kPage);
  sut.reset();
  fill(memory.get(), 1);
  EXPECT_EQ(store.budget().level(), kPage);
  memory.reset();
  EXPECT_EQ(released, 0);
  EXPECT_EQ(store.budget().level(), 0U);

  sut = result_slot(store, pages(1));
  sut.reset();
  EXPECT_EQ(store.budget().level(), 0U);
}

// A worker may keep it mapped, whatever it said.
TEST(ResultSlot, ThatIsDestroyedLeavesItsPagesToNobody) {
  SlotStore store;
  ResultSlotPtr sut = result_slot(store, pages(3));
  const os::UniqueFd kept = os::UniqueFd::duplicate(sut->fd());
  auto mapping =
      os::Mapping::make(kept.get(), 3 * kPage, os::Mapping::Access::kReadWrite);
  ASSERT_TRUE(mapping);
  mapping->data()[kPage] = std::byte{7};
  struct stat status {};
  ASSERT_EQ(fstat(kept.get(), &status), 0);
  EXPECT_EQ(status.st_blocks, 3 * 8);
  sut.reset();
  ASSERT_EQ(fstat(kept.get(), &status), 0);
  EXPECT_EQ(status.st_blocks, 0);
  EXPECT_EQ(status.st_size, off_t{3 * kPage});
  EXPECT_EQ(mapping->data()[kPage], std::byte{0});
}

TEST(ResultSlot, MayBeDestroyedWhenItIsReleased) {
  SlotStore store;
  ResultSlotPtr sut;
  sut = result_slot(store, pages(1), [&] { sut.reset(); });
  sut->hand_out(0, 1);
  EXPECT_FALSE(sut);
  EXPECT_EQ(store.budget().level(), 0U);
}

TEST(ResultSlot, MayBeHandedOutAgainWhenItIsReleased) {
  SlotStore store;
  ResultSlotPtr sut;
  std::vector<MemoryPtr> again;
  sut = result_slot(store, pages(1),
                    [&] { again.push_back(sut->hand_out(0, 1)); });
  sut->hand_out(0, 1);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_TRUE(again[0]);
  sut.reset();
}

TEST(ResultSlot, BeyondTheBoundIsNoneAndSaysWhy) {
  SlotStore store;
  store.budget().set_max_bytes(kPage);
  os::Error why;
  EXPECT_FALSE(store.make_result_slot(
      0, kPage + 1, [] {}, why));
  EXPECT_NE(why.text().find("max-bytes"), std::string::npos) << why.text();
  EXPECT_EQ(store.budget().level(), 0U);
}

TEST(ResultSlot, ThatTheMachineHasNotIsNoneAndSaysWhy) {
  SlotStore store;
  os::Error why;
  EXPECT_FALSE(store.make_result_slot(
      0, std::uint64_t{1} << 50, [] {}, why));
  EXPECT_NE(why.text().find("cannot reserve"), std::string::npos) << why.text();
  EXPECT_EQ(store.budget().level(), 0U);
}

// The last user lets go on one thread while the slot ends on another.
TEST(ResultSlot, MayBeDestroyedWhileItIsReleased) {
  SlotStore store;
  const process::SlotBudget budget = store.budget();
  const auto released = std::make_shared<std::atomic<int>>(0);
  for (int i = 0; i < 2000; ++i) {
    ResultSlotPtr sut =
        result_slot(store, pages(1), [released] { ++*released; });
    MemoryPtr memory = sut->hand_out(0, 100);
    std::latch start(2);
    auto user = std::async(std::launch::async, [&] {
      start.arrive_and_wait();
      memory.reset();
    });
    start.arrive_and_wait();
    sut.reset();
    user.wait();
  }
  EXPECT_EQ(budget.level(), 0U);
  EXPECT_LE(*released, 2000);
}

TEST(ResultSlot, GoesRoundBetweenThreads) {
  SlotStore store;
  std::mutex mutex;
  std::condition_variable came_back;
  bool is_home = true;
  ResultSlotPtr sut = result_slot(store, pages(1), [&] {
    const std::lock_guard lock(mutex);
    is_home = true;
    came_back.notify_all();
  });
  for (int i = 0; i < 500; ++i) {
    std::unique_lock lock(mutex);
    came_back.wait(lock, [&] { return is_home; });
    is_home = false;
    lock.unlock();
    MemoryPtr memory = sut->hand_out(0, kPage);
    ASSERT_TRUE(memory);
    std::thread([memory = std::move(memory), i]() mutable {
      fill(memory.get(), static_cast<std::uint8_t>(i));
      memory.reset();
    }).detach();
  }
  std::unique_lock lock(mutex);
  came_back.wait(lock, [&] { return is_home; });
}

// ---- Threads ---------------------------------------------------------------

// Pools, copies, their end and the end of a generation, all at once.
TEST(SlotStore, IsUsedByManyThreadsAtOnce) {
  SlotStore sut;
  const process::SlotBudget budget = sut.budget();
  sut.budget().set_max_bytes(40 * kPage);
  std::vector<std::future<void>> users;
  for (int user = 0; user < 2; ++user) {
    users.push_back(std::async(std::launch::async, [&] {
      for (int i = 0; i < 300; ++i) {
        const MemoryPtr memory = alloc(sut, pages(i % 5 + 1));
        fill(memory.get(), 1);
      }
    }));
    users.push_back(std::async(std::launch::async, [&] {
      for (int i = 0; i < 300; ++i) {
        std::uint64_t copied = 0;
        const BufferPtr copy =
            sut.bring_in(plain_buffer(pages(i % 7 + 1), 1), copied);
        EXPECT_LE(budget.level(), 40 * kPage);
      }
    }));
  }
  users.push_back(std::async(std::launch::async, [&] {
    for (int i = 0; i < 100; ++i) {
      const QueryPtr query =
          allocation_query("video/x-raw,format=GRAY8,width=64,height=64");
      (void)sut.offer_pool(query.get(), 2);
      if (i % 10 == 0) sut.drop_unused();
    }
  }));
  for (auto& user : users) user.wait();
  sut.drop_unused();
  EXPECT_EQ(budget.level(), 0U);
}

}  // namespace
}  // namespace dispatch::test
