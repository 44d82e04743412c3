/* The label of each text and how likely it is, or - where none is likely enough:  classify MODEL.onnx TEXT... */
#include <edge_potion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const char* why) { return fprintf(stderr, "error: %s\n", why), 1; }

int main(int count, char** words) {
  if (count < 3) return fprintf(stderr, "usage: classify MODEL.onnx TEXT...\n"), 2;
  ep_model* model = ep_open(words[1]);
  if (!model) return failed(ep_last_error());
  const size_t labels = (size_t)ep_label_count(model);
  if (!labels) return failed("the model is no classifier");

  float* shares = malloc(labels * sizeof *shares); /* logits, and then probabilities in their place */
  if (!shares) return failed("out of memory");
  for (int i = 2; i < count; i++) {
    int64_t label;
    if (ep_classify(model, words[i], strlen(words[i]), shares, NULL, 1, EP_MODEL_LIMIT, 1) < 0 ||
        ep_probabilities(model, shares, 1, shares, &label) < 0)
      return failed(ep_last_error());
    float most = 0;
    for (size_t c = 0; c < labels; c++) most = shares[c] > most ? shares[c] : most;
    printf("%.3f\t%s\t%s\n", most, label == EP_NO_LABEL ? "-" : ep_label(model, (int32_t)label), words[i]);
  }
  free(shares);
  ep_close(model);
  return 0;
}
