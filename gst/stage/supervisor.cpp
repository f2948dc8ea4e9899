// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/supervisor.h"

#include <pthread.h>

#include <utility>

namespace dispatch::stage {

void Supervisor::start(std::string description) {
  descriptions_ = {{0, std::move(description)}};
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "gd:supervisor");
}

void Supervisor::stop() {
  if (!thread_.joinable()) return;
  dispatcher_.end_orders();
  workers_.interrupt_make();
  thread_.join();
}

void Supervisor::run() {
  while (const std::optional<Orders> orders = dispatcher_.wait_for_orders())
    carry_out(*orders);
}

void Supervisor::carry_out(const Orders& orders) {
  for (const StaffingNews& news : orders.news) host_.on_news(news);
  for (const auto& worker : orders.kill) worker->kill("was stuck in one frame");
  for (const auto& worker : orders.let_go) {
    workers_.let_go(*worker);
    dispatcher_.forget_worker(*worker);
  }
  if (orders.new_stage)
    replace_stage(*orders.new_stage);
  else if (orders.is_one_to_make)
    make_one(orders.number, orders.generation);
}

void Supervisor::make_one(unsigned number,
                          WorkerRoster::Generation generation) {
  descriptions_.erase(descriptions_.begin(), descriptions_.find(generation));
  Workers::Made made = workers_.make(descriptions_.at(generation), number);
  if (const auto* problem = std::get_if<Problem>(&made)) {
    if (dispatcher_.are_orders_over()) return;  // interrupted
    host_.on_not_made(*problem, dispatcher_.on_not_made());
    return;
  }
  auto& worker = std::get<std::shared_ptr<Worker>>(made);
  host_.on_made(*worker);
  dispatcher_.add_worker(std::move(worker), generation);
}

void Supervisor::replace_stage(const std::string& description) {
  std::optional<Problem> problem = host_.check_stage(description);
  WorkerList made;
  if (!problem) problem = make_all(description, made);
  if (problem) {
    for (const auto& worker : made) workers_.let_go(*worker);
    if (dispatcher_.are_orders_over()) return;  // interrupted
    host_.on_stage_not_made(description, *problem);
    return;
  }
  const WorkerRoster::Generation generation = dispatcher_.offer_workers(made);
  descriptions_[generation] = description;
  host_.on_stage_made(description, generation, made.front());
}

// As many as work now, so that nothing has to grow again.
std::optional<Problem> Supervisor::make_all(const std::string& description,
                                            WorkerList& made) {
  const unsigned wanted = std::max(1U, dispatcher_.staff().active);
  const std::vector<unsigned> numbers = dispatcher_.free_numbers(wanted);
  for (const unsigned number : numbers) {
    Workers::Made next = workers_.make(description, number);
    if (auto* problem = std::get_if<Problem>(&next)) return std::move(*problem);
    made.push_back(std::move(std::get<std::shared_ptr<Worker>>(next)));
  }
  return std::nullopt;
}

}  // namespace dispatch::stage
