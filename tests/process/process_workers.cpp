// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Worker processes that come, go and die, without an element around them: this
// program is the dispatcher.
#include "process/process_workers.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <set>
#include <thread>

#include "element_harness.h"
#include "gate.h"

namespace dispatch::test {
namespace {

using core::Sequence;
using process::ProcessWorkers;
using stage::Job;
using stage::JobResult;
using stage::Loss;
using stage::Problem;
using stage::Worker;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using WorkerPtr = std::shared_ptr<Worker>;

constexpr char kTest[] = "GST_DISPATCH_WORKER_TEST";

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<pid_t> children() {
  std::vector<pid_t> pids;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream list(task.path() / "children");
    pids.insert(pids.end(), std::istream_iterator<pid_t>(list), {});
  }
  return pids;
}

// What workers tell.
class Ear final : public stage::WorkerListener, public stage::WorkersHost {
 public:
  void on_finished(Worker&, Sequence sequence, JobResult& result) override {
    tell([&] { finished_[sequence] = result.flow; });
  }
  void on_lost(Worker&, Job job) override {
    tell([&] { lost_[job.sequence] = std::move(job); });
  }
  bool is_interrupting() const override { return false; }
  bool has_frames() const override { return false; }

  void on_worker_lost(Worker& worker, const Loss& loss) override {
    tell([&] { losses_.emplace_back(worker.number(), loss); });
  }
  void on_problem(const Problem& problem) override {
    tell([&] { problems_.push_back(problem.message); });
  }
  void on_stage_error(const std::string& worker, const std::string&,
                      const GError* error, const char*) override {
    refuse(worker, error->message);
  }
  void on_stage_thread(const std::string& worker,
                       const std::string& element) override {
    refuse(worker, "a thread of " + element);
  }

  bool wait_until(const std::function<bool()>& is_true,
                  milliseconds longest = milliseconds(30000)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, longest, is_true);
  }
  bool wait_for_end_of(Sequence sequence) {
    return wait_until(
        [&] { return finished_.count(sequence) + lost_.count(sequence) != 0; });
  }
  bool wait_for_losses(std::size_t count) {
    return wait_until([&] { return losses_.size() >= count; });
  }

  // Under mutex_ while workers may tell something:
  std::map<Sequence, GstFlowReturn> finished_;
  std::map<Sequence, Job> lost_;
  std::vector<std::pair<unsigned, Loss>> losses_;
  std::vector<std::string> problems_;
  ProcessWorkers* workers_ = nullptr;

 private:
  void refuse(const std::string& worker, const std::string& why) {
    if (workers_->refuse_made(worker, {why, ""})) return;
    tell([&] { problems_.push_back(worker + ": " + why); });
  }
  template <typename Fn>
  void tell(Fn fn) {
    const std::lock_guard lock(mutex_);
    fn();
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
};

class ProcessWorkersTest : public testing::Test {
 protected:
  ProcessWorkersTest() {
    prototype_.set_description("identity");
    ear_.workers_ = &sut_;
  }
  ~ProcessWorkersTest() override {
    disarm();
    stop();
    EXPECT_EQ(children(), std::vector<pid_t>());
    gst_object_unref(element_);
  }

  // The workers that start from now on.
  static void arm(const std::string& faults) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread looks at it
    setenv(kTest, faults.c_str(), /*overwrite=*/1);
  }
  static void disarm() {
    unsetenv(kTest);  // NOLINT(concurrency-mt-unsafe): as above
  }

  std::optional<Problem> build(unsigned count,
                               const std::string& description = "identity") {
    if (std::optional<Problem> problem = sut_.check()) return problem;
    std::optional<Problem> problem =
        sut_.build({}, {.description = description,
                        .count = count,
                        .most = 4,
                        .negotiation = negotiation_,
                        .listener = std::shared_ptr<Ear>(&ear_, [](Ear*) {})});
    // As the output does.
    taker_ =
        std::jthread([reports = sut_.reports()](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            const std::uint32_t seen = reports->look();
            if (!reports->take()) reports->wait(seen, std::nullopt);
          }
          reports->take();
        });
    return problem;
  }
  void stop() {
    if (!taker_.joinable()) return;
    sut_.interrupt_make();
    sut_.begin_close();
    taker_.request_stop();
    sut_.reports()->ring();
    taker_.join();
    sut_.finish_close();
  }

  WorkerPtr worker(unsigned number) const {
    for (const WorkerPtr& each : sut_.all())
      if (each->number() == number) return each;
    ADD_FAILURE() << "there is no worker " << number;
    return nullptr;
  }
  WorkerPtr make(unsigned number, const std::string& description = "identity") {
    auto made = sut_.make(description, number);
    if (auto* problem = std::get_if<Problem>(&made))
      ADD_FAILURE() << problem->message << ' ' << problem->way_out;
    return std::get<WorkerPtr>(made);
  }
  Problem problem_of_making(unsigned number, const std::string& description) {
    auto made = sut_.make(description, number);
    return std::holds_alternative<Problem>(made) ? std::get<Problem>(made)
                                                 : Problem{"it is made", ""};
  }

  void submit(Worker& worker, Sequence sequence, bool keeps_original = true) {
    Job job;
    job.sequence = sequence;
    job.sticky = sticky_;
    job.keep_original = keeps_original;
    stage::Workers::Copied copied;
    auto frame = sut_.bring_in(
        stage::Frame(numbered_buffer(sequence).release()), copied);
    ASSERT_TRUE(frame);
    job.frame = std::move(*frame);
    worker.submit(std::move(job));
  }
  GstFlowReturn run(Worker& worker, Sequence sequence) {
    submit(worker, sequence);
    EXPECT_TRUE(ear_.wait_for_end_of(sequence));
    const auto finished = ear_.finished_.find(sequence);
    return finished != ear_.finished_.end() ? finished->second
                                            : GST_FLOW_CUSTOM_ERROR;
  }

  static std::shared_ptr<const stage::StickyState> new_state() {
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    const CapsPtr caps(gst_caps_from_string(kVideoCaps));
    const auto epoch = std::make_shared<stage::Epoch>(caps.get(), false);
    auto state = stage::StickyState().in_epoch(epoch);
    const EventPtr events[] = {EventPtr(gst_event_new_stream_start("a")),
                               EventPtr(gst_event_new_caps(caps.get())),
                               EventPtr(gst_event_new_segment(&segment))};
    for (const EventPtr& event : events)
      state = state->with(event.get(), epoch);
    return state;
  }

  GstElement* const element_ =
      GST_ELEMENT(gst_object_ref_sink(gst_bin_new("element")));
  const PadPtr sink_ = stage::sink_object(gst_pad_new("sink", GST_PAD_SINK));
  const PadPtr src_ = stage::sink_object(gst_pad_new("src", GST_PAD_SRC));
  const std::shared_ptr<stage::Negotiation> negotiation_ =
      std::make_shared<stage::Negotiation>(sink_.get(), src_.get());
  const std::shared_ptr<const stage::StickyState> sticky_ = new_state();
  stage::StagePrototype prototype_;
  Ear ear_;
  ProcessWorkers sut_{element_, prototype_, ear_};
  std::jthread taker_;
};

// ---- Death -----------------------------------------------------------------

// At each point of the protocol.
class DyingAt : public ProcessWorkersTest,
                public testing::WithParamInterface<const char*> {};

TEST_P(DyingAt, AWorkerLosesNothingButItself) {
  arm(std::string(GetParam()) + "=kill");
  // Its stage takes a slot.
  ASSERT_FALSE(build(1, "videoflip video-direction=horiz"));
  disarm();
  const WorkerPtr dying = worker(0);
  const int pid = children().at(0);
  submit(*dying, 7);
  ASSERT_TRUE(ear_.wait_for_end_of(7));
  ASSERT_TRUE(ear_.wait_for_losses(1));
  const Loss& loss = ear_.losses_.at(0).second;
  EXPECT_EQ(loss.worker, "worker0");
  EXPECT_EQ(loss.pid, pid);
  EXPECT_EQ(loss.how, "was killed by signal 9 (Killed)");
  EXPECT_TRUE(
      has(loss.log, std::string("fault point ") + GetParam() + ": kill"))
      << loss.log;
  EXPECT_TRUE(has(loss.problem.message, "worker0 (process ")) << loss.how;
  if (ear_.lost_.count(7) != 0)
    EXPECT_TRUE(has_own_bytes(ear_.lost_[7].frame.first()));
  else
    EXPECT_EQ(ear_.finished_[7], GST_FLOW_OK);
  EXPECT_EQ(ear_.finished_.count(7), GetParam() == std::string("reported"));

  sut_.let_go(*dying);
  EXPECT_EQ(sut_.count(), 0U);
  EXPECT_EQ(run(*make(0, "videoflip video-direction=horiz"), 8), GST_FLOW_OK);
  EXPECT_EQ(ear_.problems_, std::vector<std::string>());
}

INSTANTIATE_TEST_SUITE_P(Point, DyingAt,
                         testing::Values("command-taken", "epoch-entered",
                                         "in-stage", "stage-done", "slot-asked",
                                         "before-report", "reported"),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST_F(ProcessWorkersTest, AnIdleOneThatDiesIsToldOfAndTheOthersGoOn) {
  arm("idle=kill:2");
  ASSERT_FALSE(build(2));
  disarm();
  const WorkerPtr other = make(2);
  EXPECT_EQ(run(*worker(1), 0), GST_FLOW_OK);
  ASSERT_TRUE(ear_.wait_for_losses(1));
  EXPECT_EQ(ear_.losses_[0].first, 1U);
  EXPECT_EQ(run(*other, 1), GST_FLOW_OK);
}

TEST_F(ProcessWorkersTest, AJobForOneThatIsGoneComesBackToo) {
  arm("in-stage=kill");
  ASSERT_FALSE(build(1));
  submit(*worker(0), 0);
  ASSERT_TRUE(ear_.wait_for_losses(1));
  submit(*worker(0), 1);
  ASSERT_TRUE(ear_.wait_for_end_of(1));
  EXPECT_TRUE(ear_.lost_.at(1).frame);
  EXPECT_EQ(ear_.losses_.size(), 1U);
}

TEST_F(ProcessWorkersTest, OneThatStandsStillIsKilledAndSaysWhy) {
  arm("in-stage=stop");
  ASSERT_FALSE(build(1));
  submit(*worker(0), 0);
  EXPECT_FALSE(ear_.wait_until([&] { return !ear_.losses_.empty(); },
                               milliseconds(100)));
  EXPECT_TRUE(worker(0)->kill("was stuck for 100 ms"));
  ASSERT_TRUE(ear_.wait_for_end_of(0));
  EXPECT_TRUE(has_own_bytes(ear_.lost_.at(0).frame.first()));
  ASSERT_TRUE(ear_.wait_for_losses(1));
  EXPECT_EQ(ear_.losses_[0].second.how, "was stuck for 100 ms, and was killed");
  EXPECT_FALSE(worker(0)->kill("again"));
}

TEST_F(ProcessWorkersTest, AFrameThatItMayHaveWrittenToDoesNotComeBack) {
  sut_.configure([](auto& settings) { settings.allow_in_place = true; });
  arm("in-stage=kill");
  ASSERT_FALSE(build(1));
  submit(*worker(0), 0, /*keeps_original=*/false);
  ASSERT_TRUE(ear_.wait_for_end_of(0));
  EXPECT_FALSE(ear_.lost_.at(0).frame);
  sut_.let_go(*worker(0));
  const WorkerPtr next = make(0);
  submit(*next, 1, /*keeps_original=*/true);
  ASSERT_TRUE(ear_.wait_for_end_of(1));
  EXPECT_TRUE(ear_.lost_.at(1).frame) << "it could only read this one";
}

// ---- One more, one less ----------------------------------------------------

TEST_F(ProcessWorkersTest, AreMadeWhileOthersWork) {
  ASSERT_FALSE(build(1));
  EXPECT_EQ(run(*worker(0), 0), GST_FLOW_OK);
  const WorkerPtr added = make(1);
  EXPECT_EQ(added->number(), 1U);
  EXPECT_EQ(sut_.count(), 2U);
  // The thread that takes sleeps, and knew nothing of it.
  const auto start = steady_clock::now();
  EXPECT_EQ(run(*added, 1), GST_FLOW_OK);
  EXPECT_LT(steady_clock::now() - start, milliseconds(1500));
}

TEST_F(ProcessWorkersTest, ThatAreIdleEndWhenTheyAreLetGo) {
  ASSERT_FALSE(build(2));
  const WorkerPtr gone = worker(1);
  sut_.let_go(*gone);
  EXPECT_EQ(children().size(), 1U);
  EXPECT_EQ(sut_.count(), 1U);
  EXPECT_EQ(run(*worker(0), 0), GST_FLOW_OK);
  EXPECT_TRUE(ear_.losses_.empty());
  EXPECT_EQ(run(*make(1), 1), GST_FLOW_OK) << "its number serves again";
}

TEST_F(ProcessWorkersTest, ThatAreBusyGiveTheirJobBackWhenTheyAreLetGo) {
  Gate gate;
  gate.hold(0);
  gate.attach_to_stages();
  ASSERT_FALSE(build(1, "gate"));
  submit(*worker(0), 0);
  gate.wait_until_held(0);
  sut_.let_go(*worker(0));
  EXPECT_EQ(children().size(), 0U);
  EXPECT_TRUE(has_own_bytes(ear_.lost_.at(0).frame.first()));
  EXPECT_TRUE(ear_.losses_.empty()) << "it was meant to end";
}

TEST_F(ProcessWorkersTest, AnswerForTheStageWhileThereIsNone) {
  ASSERT_FALSE(build(1, "videoconvert"));
  const CapsPtr caps(gst_caps_from_string("video/x-raw,format=I420"));
  const QueryPtr first(gst_query_new_accept_caps(caps.get()));
  const auto ask = [&] {
    const QueryPtr query(gst_query_new_caps(caps.get()));
    EXPECT_TRUE(sut_.query_input(query.get()));
    GstCaps* answer = nullptr;
    gst_query_parse_caps_result(query.get(), &answer);
    return stage::share(answer);
  };
  const CapsPtr before = ask();
  sut_.let_go(*worker(0));
  EXPECT_EQ(sut_.count(), 0U);
  EXPECT_TRUE(sut_.exist());
  EXPECT_TRUE(gst_caps_is_equal(ask().get(), before.get()));
  stop();
  EXPECT_FALSE(sut_.exist());
}

TEST_F(ProcessWorkersTest, AreAskedIfTheyLead) {
  ASSERT_FALSE(build(1, "identity"));
  const WorkerPtr other = make(1, "capsfilter caps=video/x-raw");
  const auto takes_audio = [&] {
    const CapsPtr caps(gst_caps_from_string("audio/x-raw"));
    const QueryPtr query(gst_query_new_caps(caps.get()));
    EXPECT_TRUE(sut_.query_input(query.get()));
    GstCaps* answer = nullptr;
    gst_query_parse_caps_result(query.get(), &answer);
    return !gst_caps_is_empty(answer);
  };
  EXPECT_TRUE(takes_audio());
  sut_.lead(*other);
  EXPECT_FALSE(takes_audio());
}

// ---- Those that do not start -----------------------------------------------

TEST_F(ProcessWorkersTest, OneThatDiesAtItsStartIsNotMade) {
  ASSERT_FALSE(build(1));
  arm("started=kill");
  const Problem problem = problem_of_making(1, "identity");
  EXPECT_TRUE(has(problem.message, "worker1 (process ")) << problem.message;
  EXPECT_TRUE(has(problem.message, "signal 9")) << problem.message;
  EXPECT_TRUE(has(problem.way_out, "fault point started")) << problem.way_out;
  EXPECT_EQ(children().size(), 1U);
  EXPECT_EQ(sut_.count(), 1U);
  EXPECT_TRUE(ear_.losses_.empty());
  EXPECT_TRUE(ear_.problems_.empty());
}

// Whoever is first: it is not made, or made and lost, but not both.
TEST_F(ProcessWorkersTest, OneThatDiesWhenItIsReadyIsToldOfOnce) {
  ASSERT_FALSE(build(1));
  arm("ready=kill");
  for (unsigned round = 0; round < 10; ++round) {
    auto made = sut_.make("identity", 1);
    if (auto* worker = std::get_if<WorkerPtr>(&made)) {
      EXPECT_TRUE(ear_.wait_for_losses(1));
      sut_.let_go(**worker);
    }
    EXPECT_EQ(ear_.losses_.size(),
              std::holds_alternative<WorkerPtr>(made) ? 1U : 0U);
    ear_.losses_.clear();
  }
  EXPECT_TRUE(ear_.problems_.empty());
}

TEST_F(ProcessWorkersTest, AWrongStageIsWhyItIsNotMadeAndNothingElse) {
  ASSERT_FALSE(build(1));
  const struct {
    const char* description;
    const char* words;
  } wrong[] = {{"no-such-element", "no-such-element"},
               {"queue", "a thread of queue0"},
               {"ladspa-nothing ! identity", "ladspa-nothing"}};
  for (const auto& each : wrong) {
    const Problem problem = problem_of_making(1, each.description);
    EXPECT_TRUE(has(problem.message, each.words)) << problem.message;
  }
  EXPECT_TRUE(ear_.problems_.empty()) << ear_.problems_.front();
  EXPECT_EQ(run(*worker(0), 0), GST_FLOW_OK);
}

TEST_F(ProcessWorkersTest, AStartThatTakesLongCanBeInterrupted) {
  ASSERT_FALSE(build(1));
  arm("started=stop");
  auto made = std::async(std::launch::async, [&] {
    return problem_of_making(1, "identity").message;
  });
  EXPECT_EQ(made.wait_for(milliseconds(200)), std::future_status::timeout);
  sut_.interrupt_make();
  EXPECT_TRUE(has(made.get(), "interrupted"));
  disarm();
  EXPECT_TRUE(has(problem_of_making(1, "identity").message, "interrupted"))
      << "and so are all later ones";
  EXPECT_EQ(children().size(), 1U);
}

TEST_F(ProcessWorkersTest, AStartCanBeRefused) {
  ASSERT_FALSE(build(1));
  EXPECT_FALSE(sut_.refuse_made("worker1", {"it is not made", ""}));
  arm("started=stop");
  auto made = std::async(std::launch::async, [&] {
    return problem_of_making(1, "identity").message;
  });
  while (!sut_.refuse_made("worker1", {"it cannot be", ""}))
    std::this_thread::yield();
  EXPECT_EQ(made.get(), "it cannot be");
}

}  // namespace
}  // namespace dispatch::test
