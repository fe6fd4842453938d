-- load.lua: requests for wrk, each with the token of the next user.
-- wrk ... -s load.lua -- METHOD PATH TOKENFILE
local threads = 0

function setup(thread)
	thread:set("number", threads)
	threads = threads + 1
end

function init(args)
	method, path = args[1], args[2]
	tokens = {}
	local i = 0
	for line in io.lines(args[3]) do
		-- two threads share the file without sharing a user
		if i % 2 == number % 2 then
			tokens[#tokens + 1] = "Bearer " .. line
		end
		i = i + 1
	end
	at = 0
	wrong = 0
end

function request()
	at = at % #tokens + 1
	wrk.headers["Authorization"] = tokens[at]
	return wrk.format(method, path)
end
