// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/staff_messages.h"

#include <chrono>

GST_DEBUG_CATEGORY_EXTERN(stage_element_debug);
#define GST_CAT_DEFAULT stage_element_debug

namespace dispatch::stage {

namespace {

guint64 to_ns(core::Duration duration) {
  return static_cast<guint64>(duration.count());
}

// With the name of its message. (transfer full)
GstStructure* to_structure(const StaffingNews& news) {
  using Kind = StaffingNews::Kind;
  switch (news.kind) {
    case Kind::kSetAside:
    case Kind::kStuck:
      return gst_structure_new(
          news.kind == Kind::kStuck ? "worker-stuck" : "worker-set-aside",
          "worker", G_TYPE_UINT, news.worker, "frame", G_TYPE_UINT64,
          news.frame, "busy-for", G_TYPE_UINT64, to_ns(news.busy_for), nullptr);
    case Kind::kTooSlow:
      return gst_structure_new("stage-too-slow", "service-time", G_TYPE_UINT64,
                               to_ns(news.busy_for), nullptr);
    case Kind::kPoison:
      return gst_structure_new("frame-given-up", "frame", G_TYPE_UINT64,
                               news.frame, "workers-lost", G_TYPE_UINT,
                               news.count, nullptr);
    case Kind::kKeyUnit:
      return gst_structure_new("key-frame-awaited", "frame", G_TYPE_UINT64,
                               news.frame, nullptr);
  }
  return nullptr;
}

}  // namespace

void StaffMessages::post(const StaffingNews& news) { post(to_structure(news)); }

void StaffMessages::post_lost(const Worker& worker, const Loss& loss) {
  post(gst_structure_new("worker-lost", "worker", G_TYPE_UINT, worker.number(),
                         "pid", G_TYPE_INT, loss.pid, "reason", G_TYPE_STRING,
                         loss.how.c_str(), "log", G_TYPE_STRING,
                         loss.log.c_str(), nullptr));
}

void StaffMessages::post_started(const Worker& worker) {
  post(gst_structure_new("worker-started", "worker", G_TYPE_UINT,
                         worker.number(), nullptr));
}

void StaffMessages::post_not_started(const Problem& problem) {
  post(gst_structure_new("worker-not-started", "reason", G_TYPE_STRING,
                         problem.message.c_str(), "log", G_TYPE_STRING,
                         problem.way_out.c_str(), nullptr));
}

void StaffMessages::post_replaced(const std::string& description) {
  post(gst_structure_new("stage-replaced", "stage", G_TYPE_STRING,
                         description.c_str(), nullptr));
}

void StaffMessages::post(GstStructure* fields) {
  trace_.on_news(fields);
  std::optional<unsigned> kept_back;
  {
    const std::lock_guard lock(mutex_);
    kept_back = rates_[gst_structure_get_name(fields)].pass(
        std::chrono::steady_clock::now());
  }
  if (!kept_back) {
    gst_structure_free(fields);
    return;
  }
  gst_structure_set(fields, "kept-back", G_TYPE_UINT, *kept_back, nullptr);
  GST_INFO_OBJECT(element_, "%" GST_PTR_FORMAT, fields);
  gst_element_post_message(
      element_, gst_message_new_element(GST_OBJECT_CAST(element_), fields));
}

}  // namespace dispatch::stage
