// What must hold of any text with any model that opens, or the fuzzer stops: every kind of kernel has the same ids, phrases,
// rows of the head and bits, a limit cuts the ids and changes none, and what stands behind a text in memory counts for nothing.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels.h"

namespace ep {

#define REQUIRE(holds)                                            \
  do {                                                            \
    if (!(holds)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds); \
      abort();                                                    \
    }                                                             \
  } while (0)

inline std::vector<const Kernels*> all_kernels() {
  std::vector<const Kernels*> all;
  for (const Kernels* each : {&scalar_kernels(), avx2_kernels(), avx512_kernels(), kernels_128()})
    if (each) all.push_back(each);
  return all;
}

inline Scratch scratch;  // one for all, as a worker's

template <class T>
bool same(const std::vector<T>& one, const std::vector<T>& other) {
  return one.size() == other.size() && (one.empty() || memcmp(one.data(), other.data(), one.size() * sizeof(T)) == 0);
}

inline std::vector<int32_t> ids_of(const Kernels& kernels, const Model& model, const Text& text, int64_t limit) {
  const int64_t count = kernels.tokenize(model, scratch, text, 0, limit);
  REQUIRE(count >= 0 && (limit < 0 || count <= limit));
  const int32_t* ids = scratch.tokens[0].data();
  return std::vector<int32_t>(ids, ids + count);
}

// The rows of a text's tokens, and of its phrases.
inline std::vector<int32_t> bag_of(const Kernels& kernels, const Model& model, const std::vector<int32_t>& ids) {
  if (!model.phrases.count) return ids;
  const int64_t count = int64_t(ids.size()), pairs = kernels.pairs(model, scratch, ids.data(), count);
  REQUIRE(pairs >= 0 && pairs <= (count ? count - 1 : 0));
  REQUIRE(scratch.tokens[0].grow(ids.size() + 1));
  if (count) memcpy(scratch.tokens[0].data(), ids.data(), ids.size() * sizeof(int32_t));
  const int64_t found = kernels.phrases(model, scratch, pairs, count, 0);
  REQUIRE(found >= 0 && found <= pairs);
  const int32_t* rows = scratch.tokens[0].data();
  for (int64_t k = count; k < count + found; k++) REQUIRE(rows[k] >= model.vocabulary && rows[k] - model.vocabulary < model.phrases.count);
  return std::vector<int32_t>(rows, rows + count + found);
}

// Empty where the table gives NaN or inf.
inline std::vector<float> vector_of(const Kernels& kernels, const Model& model, const std::vector<int32_t>& ids) {
  std::vector<float> vector(size_t(model.dim));
  const std::vector<int32_t> bag = bag_of(kernels, model, ids);
  const int64_t failed = kernels.pool(model, scratch, bag.data(), int64_t(bag.size()), vector.data());
  REQUIRE(failed == 0 || failed == -3);
  if (failed) return {};
  for (float value : vector) REQUIRE(value - value == 0);
  return vector;
}

// Those of the head for a text's grams; none where the model is no classifier.
inline std::vector<int32_t> rows_of(const Kernels& kernels, const Model& model, const std::vector<int32_t>& ids) {
  if (!model.head.labels) return {};
  const int64_t found = kernels.grams(model, scratch, ids.data(), int64_t(ids.size()), 0);
  REQUIRE(found >= 0 && found <= 2 * int64_t(ids.size()));
  const int32_t* rows = scratch.rows[0].data();
  return std::vector<int32_t>(rows, rows + found);
}

// Empty where the table gives NaN or inf, or the model is no classifier.
inline std::vector<float> logits_of(const Kernels& kernels, const Model& model, const std::vector<int32_t>& ids) {
  std::vector<float> logits(size_t(model.head.labels)), vector(size_t(model.dim));
  if (logits.empty()) return {};
  const std::vector<int32_t> rows = rows_of(kernels, model, ids), bag = bag_of(kernels, model, ids);
  const auto classify = [&](float* to) {
    return kernels.classify(model, scratch, bag.data(), int64_t(bag.size()), int64_t(ids.size()), rows.data(), int64_t(rows.size()), to,
                            logits.data());
  };
  const int64_t failed = classify(vector.data());
  REQUIRE(failed == 0 || failed == -3);
  if (failed) return {};
  for (float value : logits) REQUIRE(value - value == 0);
  REQUIRE(same(vector, vector_of(kernels, model, ids)));
  const std::vector<float> before = logits;
  REQUIRE(classify(nullptr) == 0 && same(before, logits));
  return logits;
}

constexpr int64_t LIMITS[] = {1, 2, 7, 1000};

// Of a text without NUL.
inline void require_agreement(const Model& model, const uint8_t* data, size_t size) {
  const std::vector<uint8_t> alone(data, data + size);  // so that what is read beyond its end is found
  std::vector<uint8_t> longer = alone;
  for (int k = 0; k < 80; k++) longer.push_back(uint8_t("a.\xc3 \xffz"[k % 6]));
  const Text text = {alone.data(), size, alone.data() + size};
  const Text followed = {longer.data(), size, longer.data() + longer.size()};

  const std::vector<int32_t> ids = ids_of(scalar_kernels(), model, text, -1);
  for (int32_t id : ids) REQUIRE(id >= 0 && id < model.vocabulary);
  std::vector<int32_t> some = ids;  // to pool all of a long text with every kind would take the time of other texts
  if (some.size() > 75) some.resize(75);
  const std::vector<float> vector = vector_of(scalar_kernels(), model, some), logits = logits_of(scalar_kernels(), model, some);
  const std::vector<int32_t> rows = rows_of(scalar_kernels(), model, ids), bag = bag_of(scalar_kernels(), model, ids);
  const int64_t limit = LIMITS[size % 4];  // one of them, as all would take the time of other texts
  std::vector<int32_t> first = ids;
  if (first.size() > size_t(limit)) first.resize(size_t(limit));
  for (const Kernels* kernels : all_kernels()) {
    REQUIRE(same(ids, ids_of(*kernels, model, text, -1)));
    REQUIRE(same(ids, ids_of(*kernels, model, followed, -1)));
    REQUIRE(same(vector, vector_of(*kernels, model, some)) && same(logits, logits_of(*kernels, model, some)));
    REQUIRE(same(rows, rows_of(*kernels, model, ids)) && same(bag, bag_of(*kernels, model, ids)));
    REQUIRE(same(first, ids_of(*kernels, model, text, limit)));
  }
}

}  // namespace ep
