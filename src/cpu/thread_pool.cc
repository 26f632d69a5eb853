#include <algorithm>
#include <atomic>

#include "cpu/cpu_backend.h"

#if !defined(__EMSCRIPTEN__) || defined(__EMSCRIPTEN_PTHREADS__)
#include <condition_variable>
#include <mutex>
#include <thread>
#define QUERN_THREADS 1
#endif

namespace quern {
namespace {

class Inline final : public Parallel {
 public:
  [[nodiscard]] int threads() const override { return 1; }
  void run(int64_t count, int64_t, const std::function<void(int64_t, int64_t)>& body) override {
    if (count > 0) body(0, count);
  }
};

#ifdef QUERN_THREADS

/// Workers wait for a loop, take pieces of it by an atomic counter, and wait again. One loop runs
/// at a time; loops inside loops run inline.
class Pool final : public Parallel {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) {
      workers_.emplace_back([this] { work(); });
    }
  }
  ~Pool() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  [[nodiscard]] int threads() const override { return static_cast<int>(workers_.size()) + 1; }

  void run(int64_t count, int64_t grain,
           const std::function<void(int64_t, int64_t)>& body) override {
    if (count <= 0) return;
    grain = std::max<int64_t>(grain, 1);
    if (busy_.load(std::memory_order_relaxed) || count <= grain) {
      body(0, count);
      return;
    }
    busy_ = true;
    const int64_t pieces = std::min<int64_t>((count + grain - 1) / grain, int64_t{threads()} * 4);
    Loop loop{count, (count + pieces - 1) / pieces, &body, {}};
    {
      const std::lock_guard lock(mutex_);
      loop_ = &loop;
      ++generation_;
      active_ = static_cast<int>(workers_.size());
    }
    wake_.notify_all();
    take(loop);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return active_ == 0; });
    loop_ = nullptr;
    busy_ = false;
  }

 private:
  struct Loop {
    int64_t count;
    int64_t piece;
    const std::function<void(int64_t, int64_t)>* body;
    std::atomic<int64_t> next;
  };

  static void take(Loop& loop) {
    while (true) {
      const int64_t begin = loop.next.fetch_add(loop.piece);
      if (begin >= loop.count) return;
      (*loop.body)(begin, std::min(loop.count, begin + loop.piece));
    }
  }

  void work() {
    uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [&] { return stop_ || generation_ != seen; });
      if (stop_) return;
      seen = generation_;
      Loop& loop = *loop_;
      lock.unlock();
      take(loop);
      lock.lock();
      if (--active_ == 0) done_.notify_one();
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  Loop* loop_ = nullptr;
  uint64_t generation_ = 0;
  int active_ = 0;
  bool stop_ = false;
  std::atomic<bool> busy_ = false;
};

#endif

}  // namespace

std::unique_ptr<Parallel> make_parallel(int threads) {
#ifdef QUERN_THREADS
  if (threads > 1) return std::make_unique<Pool>(std::min(threads, 64));
#endif
  (void)threads;
  return std::make_unique<Inline>();
}

}  // namespace quern
