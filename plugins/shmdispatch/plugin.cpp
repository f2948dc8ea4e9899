// SPDX-License-Identifier: LGPL-2.1-or-later
/**
 * plugin-shmdispatch:
 *
 * One stage in several worker processes, without copying frames.
 *
 * Since: 0.1
 */
#include <gst/gst.h>

GST_ELEMENT_REGISTER_DECLARE(shmdispatch);

static gboolean plugin_init(GstPlugin* plugin) {
  return GST_ELEMENT_REGISTER(shmdispatch, plugin);
}

#define PACKAGE PACKAGE_NAME
GST_PLUGIN_DEFINE(
    GST_VERSION_MAJOR, GST_VERSION_MINOR, shmdispatch,
    "One stage in several worker processes, without copying frames",
    plugin_init, PACKAGE_VERSION, "LGPL", PACKAGE_NAME, PACKAGE_ORIGIN)
