// Many texts -> vectors and logits: in this thread, or shared with workers that live as long as the model.
#pragma once
#include <atomic>

#include "kernels.h"

namespace ep {

struct Joined {  // texts with NUL between them
  const uint8_t* data;
  size_t size;
};

// Where the answers go, a row a text. Without `logits` nothing is classified; with them, `vectors` may be null.
struct Answers {
  float* vectors = nullptr;
  float* logits = nullptr;
};

enum class Outcome { done, stopped, no_memory, not_finite, bad_id, too_many };

class Pool;

class Workers {
 public:
  Workers() = default;
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers();

  // `count` is how many texts there were; too_many when they are more than `most`. Each is cut at `limit` tokens (-1 for
  // never).
  Outcome answer(const Model& model, Joined texts, Answers answers, size_t most, int64_t limit, int threads, size_t& count);
  Outcome answer(const Model& model, const char* const* texts, const size_t* lengths, size_t count, Answers answers,
                 int64_t limit, int threads);
  Outcome embed_ids(const Model& model, const int32_t* ids, const size_t* lengths, size_t count, float* vectors, int threads);

  // Token ids of one text, which may hold NUL: the first `most` of them into `ids`; `count` is how many there are.
  Outcome token_ids(const Model& model, const Text& text, int64_t limit, int32_t* ids, size_t most, size_t& count);

  // Calls that are at work return Outcome::stopped soon.
  void stop() { stops_.fetch_add(1, std::memory_order_relaxed); }

 private:
  template <class Add>
  Outcome share(const Model& model, Add add, size_t count, size_t bytes, int threads);
  Scratch* take();
  void give_back(Scratch* scratch);
  Pool* pool(int helpers);

  std::atomic<uint32_t> stops_{0};
  std::atomic<Scratch*> spare_{nullptr};  // so that a single text allocates nothing
  std::atomic<Pool*> pool_{nullptr};
};

}  // namespace ep
