// Texts to vectors and labels on Android by the native engine, without ONNX Runtime; cpp/ is what Gradle builds with the NDK.
// Run by us on a desktop's JVM; not on a phone, as there is no Android device or SDK here.
package edge.potion

import java.nio.ByteBuffer

/**
 * [model] is onnx/text_quantized.onnx of a bundle in a direct buffer. Mapped, it is not copied. From src/main/assets, with
 * androidResources { noCompress += "onnx" } in Gradle:
 *
 *     val engine = assets.openFd("text_quantized.onnx").use {
 *         Engine(it.createInputStream().channel.map(FileChannel.MapMode.READ_ONLY, it.startOffset, it.length))
 *     }
 *
 * Any number of threads may embed at once; no call may be at work when it is closed.
 */
class Engine(private val model: ByteBuffer) : AutoCloseable { // kept: the engine reads it until it is closed
    init {
        require(model.isDirect) { "the model must be in a direct buffer" }
    }

    private var handle = open(model)
    val dim = dim(handle)

    /** One unit vector a text; a text without a known word gives zeros. */
    fun embed(texts: List<String>): Array<FloatArray> {
        check(handle != 0L) { "the engine is closed" }
        if (texts.isEmpty()) return emptyArray()
        val vectors = FloatArray(Math.multiplyExact(texts.size, dim))
        embed(handle, joined(texts), vectors)
        return Array(texts.size) { vectors.copyOfRange(it * dim, (it + 1) * dim) }
    }

    /** What a classifier says of a text: its label, null for none of these, and the probability of each of [labels]. */
    class Decision(val label: String?, val probabilities: FloatArray)

    /** The names of a classifier's labels; empty where the model is none. */
    val labels = List(labels(handle)) { String(label(handle, it), Charsets.UTF_8) }

    fun classify(texts: List<String>): List<Decision> {
        check(handle != 0L) { "the engine is closed" }
        check(labels.isNotEmpty()) { "the model is no classifier" }
        if (texts.isEmpty()) return emptyList()
        val probabilities = FloatArray(Math.multiplyExact(texts.size, labels.size))
        val chosen = LongArray(texts.size)
        classify(handle, joined(texts), probabilities, chosen)
        return chosen.mapIndexed { text, label ->
            val begin = text * labels.size
            Decision(labels.getOrNull(label.toInt()), probabilities.copyOfRange(begin, begin + labels.size))
        }
    }

    override fun close() {
        close(handle)
        handle = 0
    }

    /** NUL stands between texts, and never in one. */
    private fun joined(texts: List<String>) =
        texts.joinToString("\u0000") { it.replace("\u0000", "") }.toByteArray(Charsets.UTF_8)

    private external fun open(model: ByteBuffer): Long
    private external fun dim(handle: Long): Int
    private external fun embed(handle: Long, texts: ByteArray, vectors: FloatArray)
    private external fun labels(handle: Long): Int
    private external fun label(handle: Long, number: Int): ByteArray
    private external fun classify(handle: Long, texts: ByteArray, probabilities: FloatArray, labels: LongArray)
    private external fun close(handle: Long)

    private companion object {
        init {
            System.loadLibrary("edge_potion_jni")
        }
    }
}
