// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/stage_prototype.h"

#include <algorithm>
#include <utility>

namespace dispatch::stage {

namespace {

void pass_on(GObject* from, const std::string& element, const char* property,
             const StagePrototype::SetFn& set) {
  GParamSpec* pspec =
      g_object_class_find_property(G_OBJECT_GET_CLASS(from), property);
  GValue value = G_VALUE_INIT;
  g_value_init(&value, G_PARAM_SPEC_VALUE_TYPE(pspec));
  g_object_get_property(from, property, &value);
  set(element, property, &value);
  g_value_unset(&value);
}

bool is_settable(const GParamSpec* pspec) {
  return (pspec->flags & G_PARAM_WRITABLE) != 0 &&
         (pspec->flags & G_PARAM_READABLE) != 0 &&
         (pspec->flags & G_PARAM_CONSTRUCT_ONLY) == 0;
}

}  // namespace

StagePrototype::~StagePrototype() {
  drop_locked(now_);
  if (running_) drop_locked(*running_);
}

void StagePrototype::drop_locked(Instance& instance) {
  if (instance.bin)
    g_signal_handlers_disconnect_by_data(instance.bin.get(), this);
  instance = {};
}

void StagePrototype::set_description(const std::string& description) {
  const std::lock_guard lock(mutex_);
  drop_locked(now_);
  if (running_) drop_locked(*running_);
  running_.reset();
  now_.description = description;
}

void StagePrototype::try_description(const std::string& description) {
  const std::lock_guard lock(mutex_);
  if (running_)
    drop_locked(now_);
  else
    running_ = std::exchange(now_, {});
  now_.description = description;
}

void StagePrototype::confirm(const std::string& description) {
  const std::lock_guard lock(mutex_);
  if (!running_) return;
  drop_locked(*running_);
  if (now_.description == description)
    running_.reset();
  else
    running_->description = description;  // another one is on trial already
}

void StagePrototype::revert(const std::string& description) {
  const std::lock_guard lock(mutex_);
  if (!running_ || now_.description != description) return;
  drop_locked(now_);
  now_ = std::move(*running_);
  running_.reset();
}

std::string StagePrototype::description() const {
  const std::lock_guard lock(mutex_);
  return now_.description;
}

GstElement* StagePrototype::bin() {
  const std::lock_guard lock(mutex_);
  if (!now_.bin) {
    auto parsed = parse_stage(now_.description);
    if (!std::holds_alternative<ParsedStage>(parsed)) return nullptr;
    now_.bin = std::move(std::get<ParsedStage>(parsed).bin);
    gst_object_set_name(GST_OBJECT_CAST(now_.bin.get()), "stage");
    g_signal_connect(now_.bin.get(), "deep-notify", G_CALLBACK(on_deep_notify),
                     this);
  }
  return share_object(now_.bin.get()).release();
}

void StagePrototype::on_deep_notify(GstObject*, GstObject* origin,
                                    GParamSpec* pspec, gpointer self) {
  if (GST_IS_ELEMENT(origin) && is_settable(pspec))
    static_cast<StagePrototype*>(self)->spread(origin, pspec);
}

void StagePrototype::spread(GstObject* origin, GParamSpec* pspec) {
  const std::string element = GST_OBJECT_NAME(origin);
  std::vector<Copy> copies;
  {
    const std::lock_guard lock(mutex_);
    const bool is_known = std::any_of(
        now_.settings.begin(), now_.settings.end(),
        [&](const Setting& setting) {
          return setting.element == element && setting.property == pspec->name;
        });
    if (!is_known) now_.settings.push_back({element, pspec->name});
    copies = copies_;
  }
  for (const Copy& copy : copies)
    pass_on(G_OBJECT(origin), element, pspec->name, copy.set);
}

void StagePrototype::attach(const void* key, const SetFn& set) {
  std::vector<Setting> settings;
  ElementPtr bin;
  {
    const std::lock_guard lock(mutex_);
    copies_.push_back({key, set});
    settings = now_.settings;
    bin = share_object(now_.bin.get());
  }
  for (const Setting& setting : settings) {
    const ElementPtr from(
        gst_bin_get_by_name(GST_BIN(bin.get()), setting.element.c_str()));
    if (from)
      pass_on(G_OBJECT(from.get()), setting.element, setting.property.c_str(),
              set);
  }
}

void StagePrototype::detach(const void* key) {
  const std::lock_guard lock(mutex_);
  std::erase_if(copies_, [&](const Copy& copy) { return copy.key == key; });
}

void StagePrototype::detach_all() {
  const std::lock_guard lock(mutex_);
  copies_.clear();
}

}  // namespace dispatch::stage
