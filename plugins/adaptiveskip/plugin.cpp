// SPDX-License-Identifier: LGPL-2.1-or-later
/**
 * plugin-adaptiveskip:
 *
 * The best level of a stage that the latency budget allows.
 *
 * Since: 0.1
 */
#include <gst/gst.h>

GST_ELEMENT_REGISTER_DECLARE(adaptiveskip);

static gboolean plugin_init(GstPlugin* plugin) {
  return GST_ELEMENT_REGISTER(adaptiveskip, plugin);
}

#define PACKAGE PACKAGE_NAME
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, adaptiveskip,
                  "The best level of a stage that the latency budget allows",
                  plugin_init, PACKAGE_VERSION, "LGPL", PACKAGE_NAME,
                  PACKAGE_ORIGIN)
