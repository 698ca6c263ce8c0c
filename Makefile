.PHONY: demo start start-normalization stop status logs clean test test-wide test-reliability bench docs lock

demo:
	@scripts/demo
start:
	@scripts/start
start-normalization:
	@scripts/start-normalization
stop:
	@scripts/stop
status:
	@scripts/status
logs:
	@scripts/logs
clean:
	@scripts/clean
test:
	@scripts/test
test-wide:
	@scripts/test-wide
test-reliability:
	@scripts/test-reliability
bench:
	@scripts/bench
docs:
	@scripts/docs
lock:
	@scripts/lock
