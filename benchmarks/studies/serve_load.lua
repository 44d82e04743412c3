-- wrk's requests: POST each line of a file as a body, in turn; then what came of it as one line of JSON.
--
--     wrk -t1 -c64 -d8s -s serve_load.lua URL -- FILE

local requests, place = {}, 0

function init(arguments)
   wrk.headers["Content-Type"] = "application/json"
   for body in io.lines(arguments[1]) do
      requests[#requests + 1] = wrk.format("POST", nil, nil, body)
   end
end

function request()
   place = place % #requests + 1
   return requests[place]
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '{"answered": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "highest_ms": %.3f, "bytes": %d, "failed": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      latency.max / 1e3, summary.bytes, errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
