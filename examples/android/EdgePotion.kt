// Texts to vectors on Android by the text graph: bytes in, FloatArray out. Not run by us: no Android device or SDK here.
// Gradle: implementation("com.microsoft.onnxruntime:onnxruntime-android:1.20.0"), or a later one.
// Put onnx/text_quantized.onnx of a bundle into src/main/assets, and run checkDevice once on a new phone.
package edge.potion

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtSession
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.abs
import kotlin.math.sqrt
import org.json.JSONObject

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
            session.run(mapOf("text" to text)).use { result ->
                @Suppress("UNCHECKED_CAST")
                return result[0].value as Array<FloatArray>
            }
        }
    }

    override fun close() = session.close()
}

/** Of two unit vectors: 1 is the same direction. */
fun cosine(a: FloatArray, b: FloatArray): Float {
    var sum = 0f
    for (at in a.indices) sum += a[at] * b[at]
    return sum
}

/** Whether this device computes what golden.json of the bundle says: directions, and unit length. */
fun checkDevice(model: EdgePotion, goldenJson: String): Boolean {
    val golden = JSONObject(goldenJson)
    val bounds = golden.getJSONObject("tolerance").getJSONObject("int8")
    val texts = golden.getJSONArray("texts")
    val known = golden.getJSONArray("known_tokens")
    val vectors = golden.getJSONArray("vectors")
    // NUL parts texts: every check leaves out those that hold one, as older files do.
    val places = (0 until texts.length()).filter { '\u0000' !in texts.getString(it) }
    val vectorsFound = model.embed(places.map { texts.getString(it) })
    val mayBeOff = golden.optDouble("unit_length", 1e-3)
    return places.withIndex().all { (row, at) ->
        val found = vectorsFound[row]
        val expected = vectors.getJSONArray(at).let { row -> FloatArray(row.length()) { row.getDouble(it).toFloat() } }
        val tokens = known.getInt(at)
        val least = bounds.getDouble(if (tokens < golden.getInt("short_text")) "short_cosine" else "cosine")
        val length = sqrt(cosine(found, found).toDouble())
        if (tokens == 0) found.all { it == 0f } else cosine(found, expected) >= least && abs(length - 1) <= mayBeOff
    }
}
