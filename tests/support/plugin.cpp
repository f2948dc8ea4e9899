// SPDX-License-Identifier: LGPL-2.1-or-later
/**
 * plugin-dispatchtest:
 *
 * Elements for the tests and benchmarks of this project. Workers, threads or
 * processes, find them as any other element. Never installed.
 */
#include <gst/gst.h>

#include "test_elements.h"

static gboolean plugin_init(GstPlugin* plugin) noexcept {
  return GST_ELEMENT_REGISTER(gate, plugin) &&
         GST_ELEMENT_REGISTER(oddstage, plugin) &&
         GST_ELEMENT_REGISTER(spy, plugin) &&
         GST_ELEMENT_REGISTER(teststage, plugin);
}

// GST_PLUGIN_DEFINE wants this name.
#define PACKAGE PACKAGE_NAME
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, dispatchtest,
                  "Elements for the tests and benchmarks of gst-dispatch",
                  plugin_init, PACKAGE_VERSION, "LGPL", PACKAGE_NAME,
                  PACKAGE_ORIGIN)
