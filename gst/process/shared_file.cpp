// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/shared_file.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include <gst/allocators/gstdmabuf.h>

namespace dispatch::process {

namespace {

using FilePtr = std::shared_ptr<const SharedFile>;

// Foreign files that stay known without a memory of them: more than the buffers
// of a pool in another process. (unixfdsrc makes a new memory for each frame.)
constexpr std::size_t kRecentFiles = 64;

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

class Register {
 public:
  FilePtr find(GstMemory* memory);
  FilePtr find_or_add(GstMemory* memory, core::protocol::SlotClass slot_class,
                      bool is_foreign);
  void forget(const SharedFile& file);
  void watch(std::weak_ptr<FileWatcher> watcher);
  void forget_recent();

 private:
  struct Known {
    std::weak_ptr<const SharedFile> file;
    bool is_foreign = false;
  };
  FilePtr find_locked(GstMemory* memory);
  void keep_locked(const FilePtr& file, FilePtr& dropped);

  std::mutex mutex_;
  std::map<os::FileIdentity, Known> known_;
  std::deque<FilePtr> recent_;  // foreign ones, the last used in front
  std::vector<std::weak_ptr<FileWatcher>> watchers_;
};

// Memories may be freed until the process ends: never destroyed.
Register& the_register() {
  static auto* const instance = new Register;
  return *instance;
}

GQuark file_quark() {
  static const GQuark quark =
      g_quark_from_static_string("gst-dispatch-shared-file");
  return quark;
}

void free_note(gpointer note) { delete static_cast<FilePtr*>(note); }

FilePtr make_file(const os::FileIdentity& identity, std::uint64_t bytes,
                  core::protocol::SlotClass slot_class) {
  auto* const file = new SharedFile{.id = next_id(),
                                    .file = identity,
                                    .bytes = bytes,
                                    .slot_class = slot_class};
  return {file, [](const SharedFile* unused) {
            the_register().forget(*unused);
            delete unused;
          }};
}

FilePtr Register::find(GstMemory* memory) {
  const std::lock_guard lock(mutex_);
  return find_locked(memory);
}

FilePtr Register::find_locked(GstMemory* memory) {
  const auto* const note = static_cast<FilePtr*>(
      gst_mini_object_get_qdata(GST_MINI_OBJECT_CAST(memory), file_quark()));
  return note != nullptr ? *note : nullptr;
}

// Two threads may meet the same new memory: the second one finds the note.
FilePtr Register::find_or_add(GstMemory* memory,
                              core::protocol::SlotClass slot_class,
                              bool is_foreign) {
  const int fd = gst_fd_memory_get_fd(memory);
  const os::FileIdentity identity = os::identity_of(fd);
  FilePtr dropped;  // freed when the lock is
  FilePtr file;
  const std::lock_guard lock(mutex_);
  if ((file = find_locked(memory))) return file;

  auto known = known_.find(identity);
  if (known != known_.end()) file = known->second.file.lock();
  if (!file) {
    if (!os::keeps_size(fd)) return nullptr;
    file = make_file(identity, os::size_of(fd), slot_class);
    known = known_.insert_or_assign(identity, Known{file, is_foreign}).first;
  }
  if (file->bytes < memory->maxsize) return nullptr;
  if (known->second.is_foreign) keep_locked(file, dropped);
  gst_mini_object_set_qdata(GST_MINI_OBJECT_CAST(memory), file_quark(),
                            new FilePtr(file), free_note);
  return file;
}

void Register::keep_locked(const FilePtr& file, FilePtr& dropped) {
  const auto place = std::find(recent_.begin(), recent_.end(), file);
  if (place != recent_.end()) {
    std::rotate(recent_.begin(), place, place + 1);
    return;
  }
  recent_.push_front(file);
  if (recent_.size() <= kRecentFiles) return;
  dropped = std::move(recent_.back());
  recent_.pop_back();
}

// The file may be known anew by now.
void Register::forget(const SharedFile& file) {
  std::vector<std::weak_ptr<FileWatcher>> watchers;
  {
    const std::lock_guard lock(mutex_);
    const auto known = known_.find(file.file);
    if (known != known_.end() && known->second.file.expired())
      known_.erase(known);
    watchers = watchers_;
  }
  for (const std::weak_ptr<FileWatcher>& each : watchers)
    if (const auto watcher = each.lock()) watcher->on_file_gone(file.id);
}

void Register::watch(std::weak_ptr<FileWatcher> watcher) {
  const std::lock_guard lock(mutex_);
  std::erase_if(watchers_, [](const auto& each) { return each.expired(); });
  watchers_.push_back(std::move(watcher));
}

void Register::forget_recent() {
  std::deque<FilePtr> dropped;
  const std::lock_guard lock(mutex_);
  dropped.swap(recent_);
}

// A part of a memory lies where the whole does.
GstMemory* whole_of(GstMemory* memory) {
  while (memory->parent != nullptr) memory = memory->parent;
  return memory;
}

}  // namespace

void register_slot(GstMemory* memory, core::protocol::SlotClass slot_class) {
  the_register().find_or_add(memory, slot_class, false);
}

void watch_files(std::weak_ptr<FileWatcher> watcher) {
  the_register().watch(std::move(watcher));
}

void forget_unused_files() { the_register().forget_recent(); }

std::shared_ptr<const SharedFile> shared_file_of(GstMemory* memory) {
  GstMemory* const whole = whole_of(memory);
  if (FilePtr file = the_register().find(whole)) return file;
  if (!gst_is_fd_memory(whole) || gst_is_dmabuf_memory(whole)) return nullptr;
  return the_register().find_or_add(whole, core::protocol::SlotClass::kInput,
                                    true);
}

bool is_shared(GstBuffer* buffer) {
  for (guint i = 0; i < gst_buffer_n_memory(buffer); ++i)
    if (!shared_file_of(gst_buffer_peek_memory(buffer, i))) return false;
  return true;
}

}  // namespace dispatch::process
