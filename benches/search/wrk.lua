-- Sends the searches of a file, one body a line, each thread its own share of them, in turn.
--
--     wrk ... --script wrk.lua URL -- BODIES API-KEY THREADS

local started = 0

function setup(thread)
  thread:set("number", started)
  started = started + 1
end

function init(args)
  local threads = tonumber(args[3])
  wrk.method = "POST"
  wrk.path = "/api/v1/search"
  wrk.headers["Authorization"] = "Bearer " .. args[2]
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Accept"] = "application/json"
  requests = {}
  at = 0
  local line = 0
  for body in io.lines(args[1]) do
    if line % threads == number then
      requests[#requests + 1] = wrk.format(nil, nil, nil, body)
    end
    line = line + 1
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"micros":%d,"p50":%d,"p99":%d,"max":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
