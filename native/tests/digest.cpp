// Embeds the texts of a file and prints how many there were and a digest (FNV-1a) of the bits of their vectors, of a scan of
// these, and of a classifier of their logits: the same on every machine.   digest MODEL.onnx TEXTS [THREADS]   Texts are joined
// by NUL; where there is none, they are lines.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "edge_potion.h"

int main(int count, char** words) {
  if (count < 3) return fprintf(stderr, "digest MODEL.onnx TEXTS [THREADS]\n"), 2;
  ep_model* model = ep_open(words[1]);
  if (!model) return fprintf(stderr, "%s\n", ep_last_error()), 1;
  FILE* file = fopen(words[2], "rb");
  if (!file) return fprintf(stderr, "%s cannot be read\n", words[2]), 1;
  std::vector<char> text;
  char part[65536];
  for (size_t size; (size = fread(part, 1, sizeof part, file)) > 0;) text.insert(text.end(), part, part + size);
  fclose(file);
  if (text.empty() || !memchr(text.data(), 0, text.size())) {
    if (!text.empty() && text.back() == '\n') text.pop_back();
    for (char& letter : text)
      if (letter == '\n') letter = 0;
  }
  uint64_t digest = 0xcbf29ce484222325;
  int64_t texts = 0;
  const auto add = [&digest](const std::vector<float>& numbers, size_t size) {
    const unsigned char* bytes = reinterpret_cast<const unsigned char*>(numbers.data());
    for (size_t i = 0; i < size * sizeof(float); i++) digest = (digest ^ bytes[i]) * 0x100000001b3;
  };
  const size_t dim = size_t(ep_dim(model)), labels = size_t(ep_label_count(model));
  std::vector<float> vectors(1024 * dim), logits(1024 * labels), scores(1024);
  std::vector<int16_t> query(4 * dim);
  for (size_t begin = 0; begin <= text.size();) {  // 1,024 texts a call
    size_t end = begin, taken = 1;
    while (end < text.size() && (text[end] || taken++ < 1024)) end++;
    const char* at = text.data() + begin;
    const int threads = count > 3 ? atoi(words[3]) : 1;
    const int64_t found =
        labels ? ep_classify(model, at, end - begin, logits.data(), vectors.data(), 1024, EP_MODEL_LIMIT, threads)
               : ep_embed(model, at, end - begin, vectors.data(), 1024, EP_MODEL_LIMIT, threads);
    if (found < 0) return fprintf(stderr, "%s\n", ep_last_error()), 1;
    add(vectors, size_t(found) * dim);
    add(logits, size_t(found) * labels);
    const int8_t* bytes = reinterpret_cast<const int8_t*>(vectors.data());  // as rows, and the first of them as the query
    query.assign(bytes, bytes + query.size());
    if (ep_scan(bytes, size_t(found), query.size(), query.data(), vectors.data(), 1, scores.data()) != EP_OK) return 1;
    add(scores, size_t(found));
    texts += found;
    begin = end + 1;
  }
  printf("%lld texts %016llx %s\n", static_cast<long long>(texts), static_cast<unsigned long long>(digest), ep_kernels());
  ep_close(model);
  return 0;
}
