// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/line_entry.h"

#include <algorithm>
#include <utility>

namespace dispatch::stage {

namespace {

bool is_state(GstEvent* event) {
  return GST_EVENT_IS_STICKY(event) && GST_EVENT_TYPE(event) != GST_EVENT_EOS;
}

}  // namespace

void LineEntry::reset() {
  Outputs kept = std::move(outputs);  // for its capacity
  kept.clear();
  *this = LineEntry();
  outputs = std::move(kept);
}

Job LineEntry::make_job(bool keep_original) {
  Job job;
  job.sequence = record.sequence;
  job.sticky = sticky;
  job.prelude = std::move(prelude);
  job.is_per_stream = is_per_stream;
  job.query = std::move(allocation);
  if (event && !is_state(event.get())) job.event = share(event.get());
  if (!frame) return job;
  job.level = record.level;
  if (!came_with_due) job.due = due_monotonic;
  job.keep_original = keep_original;
  job.frame = keep_original ? frame.share() : std::move(frame);
  return job;
}

void LineEntry::store(JobResult& result) {
  if (outputs.empty()) {
    std::swap(outputs, result.outputs);
  } else {  // a part has been asked for and may still be there
    for (MiniObjectPtr& item : result.outputs)
      outputs.push_back(std::move(item));
  }
  flow = result.flow;
  allocation = std::move(result.answer);
  record.start = std::max(result.start, record.taken);
  record.end = result.end;
  worker = nullptr;
  is_done = true;
}

void LineEntry::give_back(Job job) {
  is_taken = false;
  worker = nullptr;
  if (job.may_have_begun) ++deaths;
  prelude = std::move(job.prelude);
  allocation = std::move(job.query);
  if (job.frame) frame = std::move(job.frame);
}

void LineEntry::refuse_waiting_question(Wakes& wakes) {
  if (question != nullptr && question->is_waiting())
    std::exchange(question, nullptr)->refuse(wakes);
}

}  // namespace dispatch::stage
