// Where the time goes, and what bounds it: tokenizing by the byte, pooling by the row, beside reading the same rows and doing
// nothing with them.   limits MODEL.onnx LINES.txt
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "edge_potion.h"
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace {

constexpr int ROUNDS = 15;
constexpr size_t MOST_TEXTS = 20000, TEXTS_A_CALL = 1024;

// Nanoseconds of the fastest of some rounds.
template <class Work>
double fastest(Work work) {
  double best = 1e18;
  for (int round = 0; round < ROUNDS; round++) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

double cycles_a_nanosecond() {  // of the counter of time, which runs at the processor's nominal frequency; 0 where there is none
#if defined(__x86_64__)
  const auto begin = std::chrono::steady_clock::now();
  const uint64_t before = __rdtsc();
  while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(50)) {
  }
  const double passed = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
  return double(__rdtsc() - before) / passed;
#else
  return 0;
#endif
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) return fprintf(stderr, "limits MODEL.onnx LINES.txt\n"), 2;
  ep_model* model = ep_open(words[1]);
  if (!model) return fprintf(stderr, "%s\n", ep_last_error()), 1;
  FILE* file = fopen(words[2], "rb");
  if (!file) return fprintf(stderr, "%s cannot be read\n", words[2]), 1;
  std::vector<std::string> texts;
  std::string text;
  size_t bytes = 0;
  for (int letter; texts.size() < MOST_TEXTS && (letter = fgetc(file)) != EOF;) {
    if (letter != '\n') {
      text.push_back(char(letter));
      continue;
    }
    bytes += text.size();
    texts.push_back(std::move(text));
    text.clear();
  }
  fclose(file);

  const size_t dim = size_t(ep_dim(model)), all = texts.size();
  std::vector<const char*> places;
  std::vector<size_t> sizes, lengths;
  std::vector<int32_t> ids, some(1 << 16);
  for (const std::string& each : texts) {
    places.push_back(each.data());
    sizes.push_back(each.size());
    const int64_t found = ep_token_ids(model, each.data(), each.size(), EP_MODEL_LIMIT, some.data(), some.size());
    lengths.push_back(size_t(found));
    ids.insert(ids.end(), some.begin(), some.begin() + found);
  }
  std::vector<float> vectors(TEXTS_A_CALL * dim);
  std::vector<signed char> table(size_t(ep_vocabulary_size(model) + 1) * dim, 1);

  const double embedding = fastest([&] {
    for (size_t at = 0; at < all; at += TEXTS_A_CALL)
      ep_embed_texts(model, &places[at], &sizes[at], std::min(TEXTS_A_CALL, all - at), vectors.data(), EP_MODEL_LIMIT, 1);
  });
  const double single = fastest([&] {
    for (size_t at = 0; at < all; at++) ep_embed(model, places[at], sizes[at], vectors.data(), 1, EP_MODEL_LIMIT, 1);
  });
  const double tokenizing = fastest([&] {
    for (size_t at = 0; at < all; at++) ep_token_ids(model, places[at], sizes[at], EP_MODEL_LIMIT, some.data(), some.size());
  });
  const double pooling = fastest([&] {
    size_t begin = 0;
    for (size_t at = 0; at < all; at += TEXTS_A_CALL) {
      const size_t now = std::min(TEXTS_A_CALL, all - at);
      ep_embed_ids(model, &ids[begin], &lengths[at], now, vectors.data(), 1);
      for (size_t i = at; i < at + now; i++) begin += lengths[i];
    }
  });
  long long sum = 0;
  const double reading = fastest([&] {  // eight bytes of each line of the cache
    for (size_t t = 0; t < ids.size(); t++)
      for (size_t at = 0; at < dim; at += 64) {
        long long eight;
        memcpy(&eight, &table[size_t(ids[t]) * dim + at], sizeof eight);
        sum += eight;
      }
  });
  const double cycles = cycles_a_nanosecond();
  printf("%s kernels, %zu texts, %zu bytes, %zu tokens, rows of %zu bytes (%lld)\n", ep_kernels(), all, bytes, ids.size(), dim, sum & 1);
  printf("%-28s %8s %8s %14s\n", "", "ns/text", "ns each", "cycles each");
  const auto line = [&](const char* what, double time, size_t parts) {
    printf("%-28s %8.0f %8.2f %14.2f\n", what, time / double(all), time / double(parts), time * cycles / double(parts));
  };
  line("embedding, a text", embedding, all);
  line("one text a call", single, all);
  line("tokenizing, a byte", tokenizing, bytes);
  line("pooling, a row", pooling, ids.size());
  line("reading those rows, a row", reading, ids.size());
  ep_close(model);
  return 0;
}
