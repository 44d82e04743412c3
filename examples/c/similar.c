/* How alike two texts are, from -1 to 1:  similar MODEL.onnx TEXT TEXT */
#include <edge_potion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const char* why) { return fprintf(stderr, "error: %s\n", why), 1; }

int main(int count, char** words) {
  if (count != 4) return fprintf(stderr, "usage: similar MODEL.onnx TEXT TEXT\n"), 2;
  ep_model* model = ep_open(words[1]);
  if (!model) return failed(ep_last_error());

  const char* texts[2] = {words[2], words[3]};
  const size_t lengths[2] = {strlen(words[2]), strlen(words[3])};
  const size_t dim = (size_t)ep_dim(model);
  float* vectors = malloc(2 * dim * sizeof *vectors); /* one row a text */
  if (!vectors) return failed("out of memory");
  if (ep_embed_texts(model, texts, lengths, 2, vectors, EP_MODEL_LIMIT, 1) < 0) return failed(ep_last_error());

  double dot = 0, one = 0, other = 0;
  for (size_t i = 0; i < dim; i++) {
    dot += (double)vectors[i] * vectors[dim + i];
    one += (double)vectors[i] * vectors[i];
    other += (double)vectors[dim + i] * vectors[dim + i];
  }
  /* A text without a word that the model knows has a vector of zeros, which is like no other. */
  printf("%.3f\n", one > 0 && other > 0 ? dot / sqrt(one * other) : 0);
  free(vectors);
  ep_close(model);
  return 0;
}
