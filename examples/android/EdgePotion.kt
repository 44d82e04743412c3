// Texts to vectors on Android by the text graph in ONNX Runtime. Not run by us: no Android device or SDK here.
// Gradle: implementation("com.microsoft.onnxruntime:onnxruntime-android:1.20.0"), or a later one.
// Put onnx/text_quantized.onnx of a bundle into src/main/assets, and call checkDevice once on a new phone.
package edge.potion

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtSession
import java.nio.ByteBuffer
import java.nio.ByteOrder

class EdgePotion(model: ByteArray) : AutoCloseable {
    private val environment = OrtEnvironment.getEnvironment()
    private val session: OrtSession = environment.createSession(model, OrtSession.SessionOptions())

    /** One unit vector a text; a text without a known word gives zeros. */
    fun embed(texts: List<String>): Array<FloatArray> {
        if (texts.isEmpty()) return emptyArray()
        // NUL stands between texts, and never in one.
        val bytes = texts.joinToString("\u0000") { it.replace("\u0000", "") }.toByteArray(Charsets.UTF_8)
        // The tensor keeps the buffer, which must be a direct one in the machine's byte order.
        val buffer = ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).put(bytes)
        buffer.rewind()
        OnnxTensor.createTensor(environment, buffer, longArrayOf(bytes.size.toLong()), OnnxJavaType.UINT8).use { text ->
            session.run(mapOf("text" to text), setOf("sentence_embedding")).use { result ->
                @Suppress("UNCHECKED_CAST")
                return result[0].value as Array<FloatArray>
            }
        }
    }

    override fun close() = session.close()
}
