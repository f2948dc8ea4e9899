// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/level_messages.h"

#include <chrono>

GST_DEBUG_CATEGORY_EXTERN(stage_element_debug);
#define GST_CAT_DEFAULT stage_element_debug

namespace dispatch::stage {

namespace {

constexpr unsigned kMostPerSecond = 1;

// (transfer full)
GstStructure* to_structure(const LevelNews& news) {
  if (news.kind == LevelNews::Kind::kState)
    return gst_structure_new(
        "skip-state-changed", "frame", G_TYPE_UINT64, news.frame, "state",
        G_TYPE_STRING, news.state, "because", G_TYPE_STRING, news.because,
        "who-is-late", G_TYPE_STRING, news.culprit, nullptr);
  GstStructure* fields = gst_structure_new(
      "level-changed", "frame", G_TYPE_UINT64, news.frame, "from", G_TYPE_UINT,
      news.from, "level", G_TYPE_UINT, news.to, "utility", G_TYPE_DOUBLE,
      news.utility, "reason", G_TYPE_STRING, news.reason, "predicted-cost",
      G_TYPE_UINT64, static_cast<guint64>(news.predicted.count()), "cost",
      G_TYPE_UINT64, static_cast<guint64>(news.cost.count()), nullptr);
  if (news.slack)
    gst_structure_set(fields, "slack", G_TYPE_INT64,
                      static_cast<gint64>(news.slack->count()), nullptr);
  return fields;
}

std::string key_of(const LevelNews& news) {
  return news.kind == LevelNews::Kind::kState
             ? std::string("state ") + news.state
             : std::string("level ") + news.reason;
}

}  // namespace

void LevelMessages::post(const LevelNews& news, bool may_post) {
  GstStructure* fields = to_structure(news);
  trace_.on_news(fields);
  if (may_post) post(key_of(news), fields);
  gst_structure_free(fields);
}

void LevelMessages::post(const std::string& key, const GstStructure* fields) {
  core::MessageRate& rate =
      rates_.try_emplace(key, kMostPerSecond).first->second;
  const std::optional<unsigned> kept_back =
      rate.pass(std::chrono::steady_clock::now());
  if (!kept_back) return;
  GstStructure* message = gst_structure_copy(fields);
  gst_structure_set(message, "kept-back", G_TYPE_UINT, *kept_back, nullptr);
  GST_INFO_OBJECT(element_, "%" GST_PTR_FORMAT, message);
  gst_element_post_message(
      element_, gst_message_new_element(GST_OBJECT_CAST(element_), message));
}

}  // namespace dispatch::stage
