// SPDX-License-Identifier: LGPL-2.1-or-later
#include "passage.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "bench.h"
#include "family.h"

namespace bench {

namespace test = dispatch::test;

namespace {

std::string replaced(std::string text, const std::string& word,
                     const std::string& by) {
  for (auto at = text.find(word); at != std::string::npos;
       at = text.find(word, at + by.size()))
    text.replace(at, word.size(), by);
  return text;
}

double least(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

}  // namespace

// It goes with its owner, and what is in it.
class Passage::Directory {
 public:
  explicit Directory(const FrameShape& shape)
      : caps_(shape.caps()),
        // shmsink adds this to each frame, to align it.
        room_(std::to_string((shape.bytes() + gst_memory_alignment) *
                             kRoomFrames)) {
    g_autoptr(GError) error = nullptr;
    g_autofree gchar* path = g_dir_make_tmp("bench-XXXXXX", &error);
    if (path == nullptr) fail(error->message);
    path_ = path;
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string filled_in(const std::string& text) const {
    return replaced(replaced(replaced(text, "CAPS", caps_), "ROOM", room_),
                    "DIR", path_);
  }

 private:
  const std::string caps_;
  const std::string room_;
  std::string path_;
};

Recipe through_elements(const std::string& name, const std::string& kind,
                        int stages) {
  std::string text = kind + " max-workers=1 stage=identity name=x";
  for (int i = 1; i < stages; i++)
    text += " ! " + kind + " max-workers=1 stage=identity";
  return {name, text + kSink};
}

namespace {

// `out` and `in` are the two ends of hop `number`.
template <typename Out, typename In>
Recipe through_hops(const std::string& name, int stages, Out out, In in) {
  Recipe recipe{name, out(0) + " name=x"};
  for (int i = 0; i < stages; i++)
    recipe.partners.push_back(in(i) + " ! identity ! " + out(i + 1));
  recipe.back = in(stages) + kSink;
  return recipe;
}

std::string path(int number) { return "DIR/" + std::to_string(number); }

}  // namespace

Recipe through_pipes(const FrameShape& shape, int stages) {
  const std::string parse =
      " ! rawvideoparse width=" + std::to_string(shape.width) +
      " height=" + std::to_string(shape.height) + " format=i420";
  return through_hops(
      "pipes", stages,
      [](int number) {
        return "fdsink sync=false async=false fd=FIFO:" + path(number);
      },
      [&](int number) {
        return "fdsrc blocksize=1048576 fd=FIFO:" + path(number) + parse;
      });
}

Recipe through_shm(int stages) {
  return through_hops(
      "shmsink, shmsrc", stages,
      [](int number) {
        return "shmsink shm-size=ROOM sync=false async=false socket-path=" +
               path(number);
      },
      [](int number) {
        return "shmsrc socket-path=" + path(number) + " ! CAPS";
      });
}

Recipe through_unixfd(int stages) {
  return through_hops(
      "unixfdsink, unixfdsrc", stages,
      [](int number) {
        return "unixfdsink sync=false async=false socket-path=" + path(number);
      },
      [](int number) { return "unixfdsrc socket-path=" + path(number); });
}

Passage::Passage(const Recipe& recipe, const FrameShape& shape,
                 Handling handling)
    : name_(recipe.name),
      handling_(handling),
      directory_(std::make_unique<Directory>(shape)) {
  const std::vector<pid_t> others = test::family();
  front_ = make_pipeline(recipe.front);
  front_->start();
  for (const std::string& partner : recipe.partners)
    partners_.push_back(std::make_unique<Partner>(
        std::vector<std::string>{"--partner", directory_->filled_in(partner)}));
  if (!recipe.back.empty()) {
    back_ = make_pipeline(recipe.back);
    back_->start();
  }
  processes_ = test::added(test::family(), others);
  processes_.push_back(getpid());
  arrival_ = std::make_unique<Arrival>(
      (back_ ? back_ : front_)->pad("sink", "sink"),
      handling.reads ? Arrival::Look::kAtAllBytes : Arrival::Look::kAway);
  feeder_ =
      std::make_unique<Feeder>(front_->pad("x", "sink"), shape.caps().c_str());
  frames_ = std::make_unique<OfferedFrames>(
      *feeder_, shape,
      handling.is_offered ? OfferedFrames::Memory::kOffered
                          : OfferedFrames::Memory::kPlain);
}

Passage::~Passage() = default;

std::unique_ptr<Pipeline> Passage::make_pipeline(
    const std::string& text) const {
  return std::make_unique<Pipeline>(
      with_open_fifos(directory_->filled_in(text)));
}

GstBuffer* Passage::next_frame() {
  GstBuffer* frame = frames_->take();
  if (handling_.fills) fill(frame, ++last_value_);
  sent_++;
  return frame;
}

double Passage::send_one_us() {
  GstBuffer* frame = next_frame();
  const std::int64_t begin_ns = monotonic_ns();
  feeder_->push(frame);
  return static_cast<double>(arrival_->wait() - begin_ns) * 1e-3;
}

void Passage::send(int frames) {
  for (int i = 0; i < frames; i++) feeder_->push(next_frame());
  arrival_->wait_for(sent_);
}

std::int64_t Passage::cpu_ns() const { return test::cpu_ns(processes_); }

void Turns::add(const std::vector<double>& latencies_us, std::int64_t cpu_ns) {
  p50_us.push_back(percentile(latencies_us, 50));
  p99_us.push_back(percentile(latencies_us, 99));
  cpu_us.push_back(static_cast<double>(cpu_ns) * 1e-3 /
                   static_cast<double>(latencies_us.size()));
}

double Turns::best_p50_us() const { return least(p50_us); }

double Turns::best_cpu_us() const { return least(cpu_us); }

void take_turn(Passage& passage, int frames, Turns& turns) {
  std::vector<double> latencies_us;
  latencies_us.reserve(static_cast<std::size_t>(frames));
  const std::int64_t begin_ns = passage.cpu_ns();
  for (int i = 0; i < frames; i++)
    latencies_us.push_back(passage.send_one_us());
  turns.add(latencies_us, passage.cpu_ns() - begin_ns);
}

}  // namespace bench
