// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The elements of the plugin for tests.
//
// For: registering them (plugin.cpp). Not for: tests, which name them in launch
// lines. Thread: as GStreamer's registry.
#pragma once

#include <gst/gst.h>

GST_ELEMENT_REGISTER_DECLARE(gate);
// With overlaystage and twinstage.
GST_ELEMENT_REGISTER_DECLARE(oddstage);
GST_ELEMENT_REGISTER_DECLARE(spy);
GST_ELEMENT_REGISTER_DECLARE(teststage);
