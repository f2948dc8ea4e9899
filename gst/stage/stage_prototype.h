// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The child `stage` of an element: its stage as the user sees and sets it.
//
// For: `stage::NAME::property`. An instance of the stage that never runs; what
// is set on it is set on all present and future copies. Not for: running.
// Thread: thread-safe. No lock is held while setting properties.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "stage/stage_description.h"

namespace dispatch::stage {

class StagePrototype {
 public:
  ~StagePrototype();

  // A new description: what had been set on the old one is forgotten. Parsed
  // when it is needed.
  void set_description(const std::string& description);
  std::string description() const;
  // The same on trial: it is to replace the one that runs, which comes back
  // with revert(). confirm() or revert() follow for each one, in order; one
  // that is overtaken by another trial changes nothing that is seen.
  void try_description(const std::string& description);
  void confirm(const std::string& description);
  void revert(const std::string& description);

  // The instance that never runs; null if the description cannot be parsed.
  // (transfer full)
  GstElement* bin();

  // Sets a property of the element of that name in one copy.
  using SetFn =
      std::function<void(const std::string& element,
                         const std::string& property, const GValue* value)>;
  // Sets on a new copy, `key`, what has been set here, and from now on what
  // will be.
  void attach(const void* key, const SetFn& set);
  void detach(const void* key);
  void detach_all();

 private:
  static void on_deep_notify(GstObject* bin, GstObject* origin,
                             GParamSpec* pspec, gpointer self);
  void spread(GstObject* origin, GParamSpec* pspec);
  struct Setting {
    std::string element;
    std::string property;
  };
  struct Instance {
    std::string description;
    ElementPtr bin;
    std::vector<Setting> settings;  // in the order in which they were first set
  };
  void drop_locked(Instance& instance);

  mutable std::mutex mutex_;
  Instance now_;
  std::optional<Instance> running_;  // while now_ is on trial
  struct Copy {
    const void* key;
    SetFn set;
  };
  std::vector<Copy> copies_;
};

}  // namespace dispatch::stage
