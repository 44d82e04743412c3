/* edge-potion: embeds and classifies text with the model in onnx/text*.onnx, without ONNX Runtime. A plain C interface.
 *
 * The .onnx file is the model: its tables are used where they lie (memory-mapped, not copied), and an int8 file gives
 * the same bits here, on any processor, as in ONNX Runtime. A handle may be used by any number of threads at once.
 * Nothing here throws, aborts, prints or changes the locale. Functions that can fail return a negative ep_status, or
 * NULL, and leave a sentence for this thread in ep_last_error().
 *
 * Texts are UTF-8. Bytes that are not UTF-8 count as U+FFFD, as in the .onnx file; NUL ends a text where texts are
 * joined; where a text is given by its length it counts as the tokenizer has it, which leaves it out, mostly.
 */
#ifndef EDGE_POTION_H
#define EDGE_POTION_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(EP_SHARED)
#ifdef EP_BUILDING
#define EP_API __declspec(dllexport)
#else
#define EP_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define EP_API __attribute__((visibility("default")))
#else
#define EP_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ep_model ep_model;

typedef enum ep_status {
  EP_OK = 0,
  EP_CANNOT_READ = -1,    /* there is no such file, or it cannot be mapped */
  EP_DAMAGED = -2,        /* not an ONNX file, truncated, or its tables do not fit each other */
  EP_NOT_OURS = -3,       /* an ONNX file, but no text graph that this engine knows */
  EP_BAD_ARGUMENT = -4,   /* NULL, or a number out of range */
  EP_OUT_OF_MEMORY = -5,
  EP_STOPPED = -6         /* ep_stop() was called while it worked */
} ep_status;

/* Where a text is cut, in tokens: any number above 0, or one of these. */
enum {
  EP_MODEL_LIMIT = 0,     /* where the model says */
  EP_NO_LIMIT = -1
};

/* The label of a text for which none is likely enough. */
enum { EP_NO_LABEL = -1 };

/* Of this library, such as "0.2.0". */
EP_API const char* ep_version(void);

/* The kernels in use: "scalar", "avx2", "avx512-vnni", "neon", "wasm-simd". */
EP_API const char* ep_kernels(void);

/* What went wrong in this thread's last call that failed: one sentence in UTF-8, never NULL. */
EP_API const char* ep_last_error(void);

/* Which ep_status that was; EP_OK where none has failed. */
EP_API int32_t ep_last_status(void);

/* Open a text graph. `path` is UTF-8 (on other systems than Windows whatever bytes name the file). The file is mapped:
 * it must not be written to until ep_close(); to put another in its place by its name is safe. NULL on failure;
 * ep_close() what it gives. */
EP_API ep_model* ep_open(const char* path);

/* The same from memory, which must stay as it is until ep_close(). */
EP_API ep_model* ep_open_memory(const void* data, size_t size);

/* No call may be at work on the model, and none may follow. */
EP_API void ep_close(ep_model* model);

/* D, the width of a vector in floats. */
EP_API int32_t ep_dim(const ep_model* model);

/* Where texts are cut, in tokens; -1 for never. */
EP_API int32_t ep_max_tokens(const ep_model* model);

/* V, the tokens; ids are below it. */
EP_API int32_t ep_vocabulary_size(const ep_model* model);

/* "int8", "float16" or "float32". */
EP_API const char* ep_precision(const ep_model* model);

/* A value of the file's metadata_props, or NULL; it lives as long as the model. */
EP_API const char* ep_metadata(const ep_model* model, const char* key);

/* Embed texts that are joined by NUL: `vectors` gets one row of D floats a text, in order, and must have room for
 * `most` rows. Returns how many texts there were (NULs + 1), or a negative ep_status; where there were more than
 * `most`, EP_BAD_ARGUMENT. A text without a known token gets zeros. `threads` workers share a call that is long enough
 * (1 works alone). */
EP_API int64_t ep_embed(ep_model* model, const char* joined, size_t bytes, float* vectors, size_t most,
                        int32_t max_tokens, int32_t threads);

/* Embed `count` texts by pointer and length in bytes. Returns `count`, or a negative ep_status. */
EP_API int64_t ep_embed_texts(ep_model* model, const char* const* texts, const size_t* lengths, size_t count,
                              float* vectors, int32_t max_tokens, int32_t threads);

/* Embed `count` texts that are token ids already, `lengths` of them each, one text after another in `ids`; they are not
 * cut. Returns `count`, or a negative ep_status: EP_BAD_ARGUMENT where an id is not in 0..ep_vocabulary_size() - 1. */
EP_API int64_t ep_embed_ids(ep_model* model, const int32_t* ids, const size_t* lengths, size_t count, float* vectors,
                            int32_t threads);

/* C, the labels of a classifier; 0 where the model is none. The next functions are for classifiers alone: of another model
 * they are EP_BAD_ARGUMENT. */
EP_API int32_t ep_label_count(const ep_model* model);

/* The name of a label, 0 to C - 1, in UTF-8; NULL for any other number. It lives as long as the model. */
EP_API const char* ep_label(const ep_model* model, int32_t label);

/* Classify texts that are joined by NUL, as ep_embed() embeds them: `logits` gets one row of C floats a text, the same bits
 * on every processor where the model is int8. `vectors` gets a row of D floats a text, or is NULL. There must be room for
 * `most` rows. A text is cut at 32,768 tokens at the latest. */
EP_API int64_t ep_classify(ep_model* model, const char* joined, size_t bytes, float* logits, float* vectors, size_t most,
                           int32_t max_tokens, int32_t threads);

/* Classify `count` texts by pointer and length in bytes. Returns `count`, or a negative ep_status. */
EP_API int64_t ep_classify_texts(ep_model* model, const char* const* texts, const size_t* lengths, size_t count,
                                 float* logits, float* vectors, int32_t max_tokens, int32_t threads);

/* What `count` rows of logits say. `probabilities` gets C floats a text, which add up to 1, or where a text may have several
 * labels (ep_metadata "multi_label" is "true") are each label's own; it may be `logits` itself. `labels` gets the number of
 * the likeliest label, EP_NO_LABEL where that is below the model's threshold (ep_metadata "threshold"; "null" for none).
 * Either may be NULL. Returns `count`, or a negative ep_status. */
EP_API int64_t ep_probabilities(const ep_model* model, const float* logits, size_t count, float* probabilities,
                                int64_t* labels);

/* The token ids of one text. Writes at most `most` of them, and returns how many there are (cut at max_tokens). */
EP_API int64_t ep_token_ids(ep_model* model, const char* text, size_t bytes, int32_t max_tokens, int32_t* ids,
                            size_t most);

/* How near rows are to a query: scores[r] = dot * scales[r] * query_scale, where dot is the inner product of the row's `width`
 * values with the query's, a whole number, and each other step is rounded to float: the same bits on every processor. The
 * `count` rows lie one behind another, at any alignment. The magnitudes of the query's values may add up to 16,777,215 at
 * most, so that every sum fits int32. No model takes part. Returns EP_OK or EP_BAD_ARGUMENT. */
EP_API int32_t ep_scan(const int8_t* rows, size_t count, size_t width, const int16_t* query, const float* scales,
                       float query_scale, float* scores);

/* Have calls that are at work on this model, in other threads, return EP_STOPPED soon (within milliseconds). */
EP_API void ep_stop(ep_model* model);

#ifdef __cplusplus
}
#endif
#endif
