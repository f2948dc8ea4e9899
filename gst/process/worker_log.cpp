// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/worker_log.h"

namespace dispatch::process {

namespace protocol = core::protocol;

namespace {

std::string described(GObject* object) {
  if (object == nullptr) return {};
  if (GST_IS_OBJECT(object) && GST_OBJECT_NAME(object) != nullptr)
    return std::string("<") + GST_OBJECT_NAME(object) + "> ";
  return {};
}

void send_line(GstDebugCategory* category, GstDebugLevel level,
               const gchar* file, const gchar* function, gint line,
               GObject* object, GstDebugMessage* message, gpointer channel) {
  if (level > gst_debug_category_get_threshold(category)) return;
  MessageFields fields;
  fields.add_number(protocol::kFieldLevel, level)
      .add_text(protocol::kFieldCategory, gst_debug_category_get_name(category))
      .add_text(protocol::kFieldFile, file)
      .add_text(protocol::kFieldFunction, function)
      .add_number(protocol::kFieldLine, static_cast<std::uint64_t>(line))
      .add_text(protocol::kFieldText,
                described(object) + gst_debug_message_get(message));
  (*static_cast<std::shared_ptr<Channel>*>(channel))
      ->send(protocol::kMessageLog, fields);
}

}  // namespace

void send_log_to(std::shared_ptr<Channel> channel, GstDebugLevel threshold) {
  gst_debug_remove_log_function(gst_debug_log_default);
  if (threshold > gst_debug_get_default_threshold()) {
    gst_debug_set_active(TRUE);
    gst_debug_set_default_threshold(threshold);
  }
  gst_debug_add_log_function(
      send_line, new std::shared_ptr<Channel>(std::move(channel)),
      [](gpointer data) {
        delete static_cast<std::shared_ptr<Channel>*>(data);
      });
}

}  // namespace dispatch::process
