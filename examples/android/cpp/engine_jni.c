/* edge_potion.h for the class edge.potion.Engine: what it declares external or native, by its name. */
#include <edge_potion.h>
#include <jni.h>
#include <string.h>

static ep_model* model_of(jlong handle) { return (ep_model*)(intptr_t)handle; }

static void throw_last_error(JNIEnv* env) {
  jclass type = (*env)->FindClass(env, "java/lang/IllegalStateException");
  if (type) (*env)->ThrowNew(env, type, ep_last_error());
}

/* `file` is a direct buffer: a model that is mapped. */
JNIEXPORT jlong JNICALL Java_edge_potion_Engine_open(JNIEnv* env, jobject self, jobject file) {
  (void)self;
  const void* content = (*env)->GetDirectBufferAddress(env, file);
  ep_model* model = ep_open_memory(content, content ? (size_t)(*env)->GetDirectBufferCapacity(env, file) : 0);
  if (!model) throw_last_error(env);
  return (jlong)(intptr_t)model;
}

JNIEXPORT jint JNICALL Java_edge_potion_Engine_dim(JNIEnv* env, jobject self, jlong handle) {
  (void)env, (void)self;
  return ep_dim(model_of(handle));
}

/* `texts` are bytes of UTF-8 joined by NUL; `vectors` has room for one row a text. */
JNIEXPORT void JNICALL Java_edge_potion_Engine_embed(JNIEnv* env, jobject self, jlong handle, jbyteArray texts,
                                                     jfloatArray vectors) {
  (void)self;
  ep_model* model = model_of(handle);
  jbyte* bytes = (*env)->GetByteArrayElements(env, texts, NULL);
  jfloat* rows = bytes ? (*env)->GetFloatArrayElements(env, vectors, NULL) : NULL;
  if (rows) {
    const size_t size = (size_t)(*env)->GetArrayLength(env, texts);
    const size_t most = (size_t)(*env)->GetArrayLength(env, vectors) / (size_t)ep_dim(model);
    if (ep_embed(model, (const char*)bytes, size, rows, most, EP_MODEL_LIMIT, 1) < 0) throw_last_error(env);
    (*env)->ReleaseFloatArrayElements(env, vectors, rows, 0);
  }
  if (bytes) (*env)->ReleaseByteArrayElements(env, texts, bytes, JNI_ABORT);
}

JNIEXPORT jint JNICALL Java_edge_potion_Engine_labels(JNIEnv* env, jobject self, jlong handle) {
  (void)env, (void)self;
  return ep_label_count(model_of(handle));
}

/* In UTF-8, which JNI's own strings are not. */
JNIEXPORT jbyteArray JNICALL Java_edge_potion_Engine_label(JNIEnv* env, jobject self, jlong handle, jint number) {
  (void)self;
  const char* name = ep_label(model_of(handle), number);
  const jsize size = name ? (jsize)strlen(name) : 0;
  jbyteArray bytes = (*env)->NewByteArray(env, size);
  if (bytes && size) (*env)->SetByteArrayRegion(env, bytes, 0, size, (const jbyte*)name);
  return bytes;
}

/* `texts` as before; `probabilities` has room for one row a text, `labels` for one number. */
JNIEXPORT void JNICALL Java_edge_potion_Engine_classify(JNIEnv* env, jobject self, jlong handle, jbyteArray texts,
                                                        jfloatArray probabilities, jlongArray labels) {
  (void)self;
  ep_model* model = model_of(handle);
  jbyte* bytes = (*env)->GetByteArrayElements(env, texts, NULL);
  jfloat* rows = bytes ? (*env)->GetFloatArrayElements(env, probabilities, NULL) : NULL;
  jlong* chosen = rows ? (*env)->GetLongArrayElements(env, labels, NULL) : NULL;
  if (chosen) {
    const size_t size = (size_t)(*env)->GetArrayLength(env, texts), most = (size_t)(*env)->GetArrayLength(env, labels);
    const int64_t count = ep_classify(model, (const char*)bytes, size, rows, NULL, most, EP_MODEL_LIMIT, 1);
    if (count < 0 || ep_probabilities(model, rows, (size_t)count, rows, (int64_t*)chosen) < 0) throw_last_error(env);
    (*env)->ReleaseLongArrayElements(env, labels, chosen, 0);
  }
  if (rows) (*env)->ReleaseFloatArrayElements(env, probabilities, rows, 0);
  if (bytes) (*env)->ReleaseByteArrayElements(env, texts, bytes, JNI_ABORT);
}

JNIEXPORT void JNICALL Java_edge_potion_Engine_close(JNIEnv* env, jobject self, jlong handle) {
  (void)env, (void)self;
  ep_close(model_of(handle));
}
