#include "work.h"

#include <new>

#if defined(__wasm__) && !defined(__EMSCRIPTEN_PTHREADS__)
#define EP_ALONE 1
#else
#include <condition_variable>
#include <mutex>
#include <thread>
#if !defined(_WIN32)
#include <unistd.h>
#endif
#endif

namespace ep {
namespace {

constexpr size_t TEXTS_A_PART = 64;        // that a worker takes at a time
constexpr size_t BYTES_A_THREAD = 32768;   // fewer are done before a worker wakes up
[[maybe_unused]] constexpr int MOST_THREADS = 256;

// The answers of text i.
Answers answers_of(const Model& model, Answers answers, size_t i) {
  return {answers.vectors ? answers.vectors + i * size_t(model.dim) : nullptr,
          answers.logits ? answers.logits + i * size_t(model.head.labels) : nullptr};
}

// One worker's run over texts: the rows of a text are fetched while the next one is tokenized.
class Run {
 public:
  Run(const Model& model, Scratch& scratch) : model_(model), scratch_(scratch), kernels_(kernels()) {}

  // `text` holds no NUL.
  bool add(const Text& text, int64_t limit, Answers answers) {
    if (!text.data && text.size) return fail(-1);
    Waiting next = {answers, 0, 0, 0, true};
    next.tokens = kernels_.tokenize(model_, scratch_, text, which_, limit);
    if (next.tokens < 0) return fail(next.tokens);
    if (answers.logits) next.rows = kernels_.grams(model_, scratch_, scratch_.tokens[which_].data(), next.tokens, which_);
    if (next.rows < 0) return fail(next.rows);
    return await(next);
  }
  bool add_ids(const int32_t* ids, size_t count, float* vector) {
    if (scratch_.stopped()) return fail(-2);
    for (size_t t = 0; t < count; t++)
      if (uint32_t(ids[t]) >= uint32_t(model_.vocabulary)) return fail(-4);
    if (!model_.phrases.count) return !fails(kernels_.pool(model_, scratch_, ids, int64_t(count), vector));
    if (!scratch_.tokens[which_].grow(count)) return fail(-1);
    if (count) memcpy(scratch_.tokens[which_].data(), ids, count * sizeof(int32_t));
    return await({{vector, nullptr}, int64_t(count), 0, 0, true});
  }
  bool finish() {
    if (!waiting_.is_there) return true;
    waiting_.is_there = false;
    const int other = which_ ^ 1;
    const int32_t* bag = scratch_.tokens[other].data();
    const int64_t count = waiting_.tokens + waiting_.phrases;
    const auto [vector, logits] = waiting_.answers;
    if (!logits) return !fails(kernels_.pool(model_, scratch_, bag, count, vector));
    const int32_t* rows = scratch_.rows[other].data();
    return !fails(kernels_.classify(model_, scratch_, bag, count, waiting_.tokens, rows, waiting_.rows, vector, logits));
  }
  Outcome outcome() const { return outcome_; }

 private:
  // A text whose tokens are in scratch.tokens[which_]: how many tokens it has, phrases, and rows of the head.
  struct Waiting {
    Answers answers;
    int64_t tokens, phrases, rows;
    bool is_there;
  };
  // Pools the text before while memory is asked for what is next.
  bool await(Waiting next) {
    const int64_t pairs = model_.phrases.count ? kernels_.pairs(model_, scratch_, scratch_.tokens[which_].data(), next.tokens) : 0;
    if (pairs < 0) return fail(pairs);
    if (!finish()) return false;
    if (pairs) next.phrases = kernels_.phrases(model_, scratch_, pairs, next.tokens, which_);
    if (next.phrases < 0) return fail(next.phrases);
    waiting_ = next;
    which_ ^= 1;
    return true;
  }
  bool fails(int64_t why) { return why && !fail(why); }
  bool fail(int64_t why) {
    outcome_ = why == -2 ? Outcome::stopped : why == -3 ? Outcome::not_finite : why == -4 ? Outcome::bad_id : Outcome::no_memory;
    return false;
  }
  const Model& model_;
  Scratch& scratch_;
  const Kernels& kernels_;
  int which_ = 0;
  Waiting waiting_ = {};
  Outcome outcome_ = Outcome::done;
};

}  // namespace

// The text with its NULs as the tokenizer has them: without them, mostly, or another character in their place. It stands in
// scratch.text where it has any; nowhere without memory.
static Text without_nul(const Model& model, Scratch& scratch, const Text& text) {
  if (!text.size || model.unigram.nul == 0 || !memchr(text.data, 0, text.size)) return text;
  uint8_t other[4];
  const size_t length = model.unigram.nul < 0 ? 0 : to_utf8(uint32_t(model.unigram.nul), other);
  const size_t room = text.size * (length > 1 ? length : 1);
  if (room / text.size > 4 || !scratch.text.grow(room)) return {nullptr, 1, nullptr};
  Text plain = {scratch.text.data(), 0, nullptr};
  for (size_t i = 0; i < text.size; i++) {
    if (text.data[i]) scratch.text[plain.size++] = text.data[i];
    else
      for (size_t k = 0; k < length; k++) scratch.text[plain.size++] = other[k];
  }
  plain.readable = plain.data + plain.size;
  return plain;
}

#ifndef EP_ALONE

// Threads that wait for a job, and run it together with the thread that brings it. One job at a time.
class Pool {
 public:
  explicit Pool(int helpers) {
#if !defined(_WIN32)
    process_ = getpid();
#endif
    for (int i = 0; i < helpers; i++) {
      try {
        threads_[size_] = std::thread([this] { wait(); });
        size_++;
      } catch (...) {  // the system gives no more
        break;
      }
    }
  }
  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
    }
    wake_.notify_all();
    for (int i = 0; i < size_; i++) threads_[i].join();
  }

  // False where the threads are another job's, or of the process that this one was forked from.
  template <class Job>
  bool run(Job& job, int helpers) {
    if (!busy_.try_lock()) return false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = [](void* at) { (*static_cast<Job*>(at))(); };
      at_ = &job;
      left_ = helpers < size_ ? helpers : size_;
      working_ = left_;
    }
    wake_.notify_all();
    job();
    {
      std::unique_lock<std::mutex> lock(mutex_);
      working_ -= left_;  // who has not begun need not
      left_ = 0;
      ended_.wait(lock, [this] { return working_ == 0; });
    }
    busy_.unlock();
    return true;
  }
  bool is_ours() const {
#if defined(_WIN32)
    return true;
#else
    return process_ == getpid();
#endif
  }
  int size() const { return size_; }

 private:
  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return left_ > 0 || ending_; });
      if (ending_) return;
      left_--;
      void (*job)(void*) = job_;
      void* at = at_;
      lock.unlock();
      job(at);
      lock.lock();
      if (--working_ == 0) ended_.notify_one();
    }
  }
  std::mutex busy_, mutex_;
  std::condition_variable wake_, ended_;
  std::thread threads_[MOST_THREADS];
  int size_ = 0, left_ = 0, working_ = 0;
  bool ending_ = false;
  void (*job_)(void*) = nullptr;
  void* at_ = nullptr;
#if !defined(_WIN32)
  pid_t process_;
#endif
};

Pool* Workers::pool(int helpers) {
  Pool* there = pool_.load(std::memory_order_acquire);
  if (there && there->is_ours() && there->size() >= helpers) return there;
  Pool* made = new (std::nothrow) Pool(helpers);
  if (!made) return nullptr;
  if (!pool_.compare_exchange_strong(there, made)) {
    delete made;
    return pool_.load(std::memory_order_acquire);
  }
  // Of the process that forked us only the memory is here; and a smaller one may be at work.
  return made;
}

Workers::~Workers() {
  delete spare_.load();
  Pool* there = pool_.load();
  if (there && there->is_ours()) delete there;
}

#else
class Pool {};
Workers::~Workers() { delete spare_.load(); }
#endif

Scratch* Workers::take() {
  Scratch* scratch = spare_.exchange(nullptr);
  if (!scratch) scratch = new (std::nothrow) Scratch;
  if (scratch) {
    scratch->halts = &stops_;
    scratch->halts_before = stops_.load(std::memory_order_relaxed);
  }
  return scratch;
}

void Workers::give_back(Scratch* scratch) { delete spare_.exchange(scratch); }

// `add(run, scratch, i)` has a run do text i. Workers take some texts at a time, until there are none left or one failed.
template <class Add>
Outcome Workers::share(const Model& model, Add add, size_t count, size_t bytes, int threads) {
  const uint32_t stops_before = stops_.load(std::memory_order_relaxed);
  std::atomic<size_t> next{0};
  std::atomic<int> outcome{int(Outcome::done)};
  auto job = [&] {
    Scratch* scratch = take();
    if (!scratch) {
      outcome.store(int(Outcome::no_memory));
      return;
    }
    scratch->halts_before = stops_before;
    Run run(model, *scratch);
    bool good = true;
    while (good && outcome.load(std::memory_order_relaxed) == int(Outcome::done)) {
      const size_t begin = next.fetch_add(TEXTS_A_PART, std::memory_order_relaxed);
      if (begin >= count) break;
      const size_t end = count - begin < TEXTS_A_PART ? count : begin + TEXTS_A_PART;
      for (size_t i = begin; good && i < end; i++) good = add(run, *scratch, i);
    }
    if (!good || !run.finish()) outcome.store(int(run.outcome()));
    give_back(scratch);
  };
#ifndef EP_ALONE
  size_t helpers = threads > 1 ? size_t(threads) - 1 : 0;
  if (helpers > bytes / BYTES_A_THREAD) helpers = bytes / BYTES_A_THREAD;
  if (helpers > (count - 1) / TEXTS_A_PART) helpers = (count - 1) / TEXTS_A_PART;
  if (helpers >= size_t(MOST_THREADS)) helpers = MOST_THREADS - 1;
  Pool* workers = helpers ? pool(int(helpers)) : nullptr;
  if (!workers || !workers->run(job, int(helpers))) job();
#else
  (void)bytes, (void)threads;
  job();
#endif
  return Outcome(outcome.load());
}

Outcome Workers::answer(const Model& model, Joined texts, Answers answers, size_t most, int64_t limit, int threads, size_t& count) {
  const uint8_t* end = texts.data + texts.size;
  const auto stop_of = [end](const uint8_t* at) {
    const void* nul = at < end ? memchr(at, 0, size_t(end - at)) : nullptr;
    return nul ? static_cast<const uint8_t*>(nul) : end;
  };
  count = 0;
  if (threads <= 1 || texts.size < BYTES_A_THREAD) {
    Scratch* scratch = take();
    if (!scratch) return Outcome::no_memory;
    Run run(model, *scratch);
    bool good = true;
    for (const uint8_t* at = texts.data; good;) {
      if (count == most) {
        give_back(scratch);
        return Outcome::too_many;
      }
      const uint8_t* stop = stop_of(at);
      good = run.add({at, size_t(stop - at), end}, limit, answers_of(model, answers, count++));
      if (stop == end) break;
      at = stop + 1;
    }
    if (good) run.finish();
    give_back(scratch);
    return run.outcome();
  }
  Buffer<size_t> begins;
  for (const uint8_t* at = texts.data;;) {
    if (count == most) return Outcome::too_many;
    if (!begins.grow(count + 2)) return Outcome::no_memory;
    begins[count++] = size_t(at - texts.data);
    const uint8_t* stop = stop_of(at);
    if (stop == end) break;
    at = stop + 1;
  }
  begins[count] = texts.size + 1;
  const auto add = [&](Run& run, Scratch&, size_t i) {
    return run.add({texts.data + begins[i], begins[i + 1] - begins[i] - 1, end}, limit, answers_of(model, answers, i));
  };
  return share(model, add, count, texts.size, threads);
}

Outcome Workers::answer(const Model& model, const char* const* texts, const size_t* lengths, size_t count, Answers answers,
                        int64_t limit, int threads) {
  if (!count) return Outcome::done;
  size_t bytes = 0;
  for (size_t i = 0; i < count; i++) bytes += lengths[i];
  const auto add = [&](Run& run, Scratch& scratch, size_t i) {
    const uint8_t* data = reinterpret_cast<const uint8_t*>(texts[i]);
    return run.add(without_nul(model, scratch, {data, lengths[i], data + lengths[i]}), limit, answers_of(model, answers, i));
  };
  return share(model, add, count, bytes, threads);
}

Outcome Workers::embed_ids(const Model& model, const int32_t* ids, const size_t* lengths, size_t count, float* vectors, int threads) {
  if (!count) return Outcome::done;
  Buffer<size_t> begins;
  if (!begins.grow(count)) return Outcome::no_memory;
  size_t all = 0;
  for (size_t i = 0; i < count; i++) begins[i] = all, all += lengths[i];
  const auto add = [&](Run& run, Scratch&, size_t i) {
    return run.add_ids(ids + begins[i], lengths[i], vectors + i * size_t(model.dim));
  };
  return share(model, add, count, all * sizeof(int32_t), threads);
}

Outcome Workers::token_ids(const Model& model, const Text& text, int64_t limit, int32_t* ids, size_t most, size_t& count) {
  Scratch* scratch = take();
  if (!scratch) return Outcome::no_memory;
  const Text plain = without_nul(model, *scratch, text);
  const int64_t found = !plain.data && plain.size ? -1 : kernels().tokenize(model, *scratch, plain, 0, limit);
  count = found < 0 ? 0 : size_t(found);
  const size_t kept = count < most ? count : most;
  if (kept) memcpy(ids, scratch->tokens[0].data(), kept * sizeof(int32_t));
  give_back(scratch);
  return found >= 0 ? Outcome::done : found == -2 ? Outcome::stopped : Outcome::no_memory;
}

}  // namespace ep
