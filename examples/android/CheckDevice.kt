// Does this device compute what the model's makers computed? For both ways: checkDevice(json) { model.embed(it) }
package edge.potion

import kotlin.math.abs
import kotlin.math.sqrt
import org.json.JSONObject

/** Of two unit vectors: 1 is the same direction. */
fun cosine(a: FloatArray, b: FloatArray): Float {
    var sum = 0f
    for (at in a.indices) sum += a[at] * b[at]
    return sum
}

/** Whether this device computes what golden.json of the bundle says: directions, and unit length. */
fun checkDevice(goldenJson: String, embed: (List<String>) -> Array<FloatArray>): Boolean {
    val golden = JSONObject(goldenJson)
    val bounds = golden.getJSONObject("tolerance").getJSONObject("int8")
    val texts = golden.getJSONArray("texts")
    val known = golden.getJSONArray("known_tokens")
    val vectors = golden.getJSONArray("vectors")
    // NUL parts texts: every check leaves out those that hold one, as older files do.
    val places = (0 until texts.length()).filter { '\u0000' !in texts.getString(it) }
    val vectorsFound = embed(places.map { texts.getString(it) })
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
