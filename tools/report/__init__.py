# SPDX-License-Identifier: LGPL-2.1-or-later
"""Turns traces (docs/trace.md) into one page. The command is gst-dispatch-report."""
