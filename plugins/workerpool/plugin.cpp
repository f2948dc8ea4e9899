// SPDX-License-Identifier: LGPL-2.1-or-later
/**
 * plugin-workerpool:
 *
 * One stage on several worker threads, in order and in time.
 *
 * Since: 0.1
 */
#include <gst/gst.h>

GST_ELEMENT_REGISTER_DECLARE(workerpool);

static gboolean plugin_init(GstPlugin* plugin) {
  return GST_ELEMENT_REGISTER(workerpool, plugin);
}

#define PACKAGE PACKAGE_NAME
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, workerpool,
                  "One stage on several worker threads, in order and in time",
                  plugin_init, PACKAGE_VERSION, "LGPL", PACKAGE_NAME,
                  PACKAGE_ORIGIN)
