// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the elements of ours in one pipeline share.
//
// For: finding each other through a GstContext, sharing one automatic budget
// along a path, what they notice of a slowdown, and the process-wide CPU
// allowance. Not for: what one element knows about itself (latency_account,
// dispatcher).
// Thread: thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "core/cpu_allowance.h"
#include "core/shared_slowdown.h"
#include "stage/ptr.h"

namespace dispatch::stage {

inline constexpr char kDomainContextType[] = "gst-dispatch.domain";

// The CPUs that all elements of this process share out.
core::CpuAllowance& cpu_allowance();

// One element's place in the domain of its pipeline.
class DomainMember {
 public:
  explicit DomainMember(GstElement* element) : element_(element) {}

  // Joins the domain of the pipeline, or opens one: asks the neighbours and the
  // bins above for it, and announces it if there is none. On NULL to READY.
  void join();
  void leave();
  // For the element's set_context().
  void on_context(GstContext* context);

  // What the elements of the domain notice together; null outside of one.
  std::shared_ptr<core::SharedSlowdown> slowdown() const;

  // How many elements with automatic budgets the path through `sink` and `src`
  // has, this one among them. (transfer none)
  unsigned automatic_elements_on_path(GstPad* sink, GstPad* src);
  // Answers the question of another element of the domain that arrived at one
  // pad; it goes on through `onward`. False: the query is none of ours.
  bool count_on_path(GstQuery* query, GstPad* onward, bool is_automatic);

 private:
  ObjectPtr<GstObject> domain() const;
  void take_domain(GstContext* context);
  bool ask_neighbours();
  void announce();

  GstElement* const element_;
  mutable std::mutex mutex_;
  ObjectPtr<GstObject> domain_;  // null outside
};

}  // namespace dispatch::stage
